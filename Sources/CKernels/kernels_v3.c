#if defined(__x86_64__)
#define KERNELS aumd_kernels_v3
#define KERNELS_NAME "x86-64-v3"
#define VL 8
#define ROWS 4
#define VECS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "kernels_impl.h"
#pragma clang attribute pop
#endif
