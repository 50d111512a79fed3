/* Preloaded (ld.so(8), LD_PRELOAD): a window pass, which names its thread when it begins, stands still there while there is a file
 * $HOLD_WINDOW_PASSES.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int prctl(int option, ...) {
    unsigned long arguments[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++) arguments[i] = va_arg(list, unsigned long);
    va_end(list);
    const char *file = getenv("HOLD_WINDOW_PASSES");
    if (option == PR_SET_NAME && !strcmp((const char *)arguments[0], "window pass"))
        while (file && !access(file, F_OK)) usleep(1000);
    return (int)syscall(SYS_prctl, option, arguments[0], arguments[1], arguments[2], arguments[3]);
}
