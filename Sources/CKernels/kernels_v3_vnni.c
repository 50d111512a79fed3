#if defined(__x86_64__)
#include "CKernels.h"
#include <immintrin.h>

#define KERNELS aumd_kernels_v3_vnni
#define KERNELS_NAME "x86-64-v3+vnni"
#define VL 8
#define ROWS 4
#define COLUMN_ROWS 4
#define VECS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3,avxvnni"))), apply_to = function)

/* vpdpbusd multiplies unsigned bytes by signed ones. */
#define DOT_OFFSET 128
#define DOT_ROWS 4
#define DOT_GROUPS 1
#define DOT_BYTES 32
typedef uint8_t dot_input;
typedef __m256i dot_vector;
#define dot_weights(p) _mm256_loadu_si256((const __m256i *)(p))
#define dot_inputs(p) _mm256_broadcastd_epi32(_mm_loadu_si32(p))
#define dot_add(sum, inputs, weights) ((vi)_mm256_dpbusd_avx_epi32((__m256i)(sum), inputs, weights))
#include "kernels_impl.h"
#pragma clang attribute pop
#endif
