#if defined(__x86_64__)
#include "CKernels.h"
#include <immintrin.h>

#define AVX512_EXP2
#define KERNELS aumd_kernels_v4
#define KERNELS_NAME "x86-64-v4"
#define VL 16
#define ROWS 12
#define COLUMN_ROWS 8
#define VECS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)

#define DOT_OFFSET 0
#define DOT_ROWS 8
#define DOT_GROUPS 1
#define DOT_BYTES 32
typedef int16_t dot_input;
typedef __m512i dot_vector;
#define dot_weights(p) _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(p)))
#define dot_inputs(p) _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(p)))
#define dot_add(sum, inputs, weights) ((vi)_mm512_add_epi32((__m512i)(sum), _mm512_madd_epi16(inputs, weights)))
#include "kernels_impl.h"
#pragma clang attribute pop
#endif
