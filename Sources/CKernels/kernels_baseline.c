/* SSE2 on x86-64, NEON on arm64: what every processor of the architecture has. */
#include "CKernels.h"

#define KERNELS aumd_kernels_baseline
#define VL 4
#define ROWS 4
#define COLUMN_ROWS 4
#define VECS 2

#define DOT_OFFSET 0
#define DOT_GROUPS 1
#define DOT_BYTES 8
#if defined(__aarch64__)
#include <arm_neon.h>
#define KERNELS_NAME "neon"
#define DOT_ROWS 2
typedef int8_t dot_input;
typedef int8x8_t dot_vector;
#define dot_weights(p) vld1_s8(p)
static inline __attribute__((always_inline)) int8x8_t dot_inputs(const int8_t *p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vreinterpret_s8_s32(vdup_n_s32(four));
}
#define dot_add(sum, inputs, weights) ((vi)vpadalq_s16((int32x4_t)(sum), vmull_s8(inputs, weights)))
#else
#include <emmintrin.h>
#define KERNELS_NAME "baseline"
#define DOT_ROWS 1
typedef int16_t dot_input;
typedef __m128i dot_vector;
static inline __attribute__((always_inline)) __m128i dot_weights(const int8_t *p) {
    __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
}
static inline __attribute__((always_inline)) __m128i dot_inputs(const int16_t *p) {
    __m128i four = _mm_loadl_epi64((const __m128i *)p);
    return _mm_unpacklo_epi64(four, four);
}
#define dot_add(sum, inputs, weights) ((vi)_mm_add_epi32((__m128i)(sum), _mm_madd_epi16(inputs, weights)))
#endif
#include "kernels_impl.h"
