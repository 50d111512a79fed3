/* Kernel interfaces that Swift's Glibc module leaves out. */
#include <sys/eventfd.h>
#include <sys/prctl.h>

/* The calling thread's name, at most 15 bytes, as top(1) shows it. prctl is variadic, which Swift does not import. */
static inline void aumd_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
