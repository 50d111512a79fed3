#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512_EXP2
#define KERNELS aumd_kernels_v4
#define KERNELS_NAME "x86-64-v4"
#define VL 16
#define ROWS 8
#define VECS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#include "kernels_impl.h"
#pragma clang attribute pop
#endif
