#if defined(__x86_64__)
#include "CKernels.h"
#include <immintrin.h>

#define AVX512_EXP2
#define KERNELS aumd_kernels_v4_vnni
#define KERNELS_NAME "x86-64-v4+vnni"
#define VL 16
#define ROWS 12
#define COLUMN_ROWS 8
#define VECS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4,avx512vnni"), min_vector_width(512))), apply_to = function)

/* vpdpbusd multiplies unsigned bytes by signed ones. */
#define DOT_OFFSET 128
#define DOT_ROWS 8
#define DOT_GROUPS 2
#define DOT_BYTES 64
typedef uint8_t dot_input;
typedef __m512i dot_vector;
#define dot_weights(p) _mm512_loadu_si512(p)
#define dot_inputs(p) _mm512_broadcastd_epi32(_mm_loadu_si32(p))
#define dot_add(sum, inputs, weights) ((vi)_mm512_dpbusd_epi32((__m512i)(sum), inputs, weights))
#include "kernels_impl.h"
#pragma clang attribute pop
#endif
