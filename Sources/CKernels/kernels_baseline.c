/* SSE2 on x86-64, NEON on arm64: what every processor of the architecture has. */
#define KERNELS aumd_kernels_baseline
#if defined(__aarch64__)
#define KERNELS_NAME "neon"
#else
#define KERNELS_NAME "baseline"
#endif
#define VL 4
#define ROWS 4
#define VECS 2
#include "kernels_impl.h"
