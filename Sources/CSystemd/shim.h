#include <systemd/sd-journal.h>
#include <systemd/sd-daemon.h>
// Not in Swift's Glibc module.
#include <sys/eventfd.h>
