#if defined(__x86_64__)
#include "CKernels.h"
#include <immintrin.h>

#define KERNELS aumd_kernels_v3
#define KERNELS_NAME "x86-64-v3"
#define VL 8
#define ROWS 4
#define COLUMN_ROWS 4
#define VECS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)

#define DOT_OFFSET 0
#define DOT_ROWS 2
#define DOT_GROUPS 1
#define DOT_BYTES 16
typedef int16_t dot_input;
typedef __m256i dot_vector;
#define dot_weights(p) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p)))
#define dot_inputs(p) _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(p)))
#define dot_add(sum, inputs, weights) ((vi)_mm256_add_epi32((__m256i)(sum), _mm256_madd_epi16(inputs, weights)))
#include "kernels_impl.h"
#pragma clang attribute pop
#endif
