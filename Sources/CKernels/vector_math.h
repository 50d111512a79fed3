/* Vectors of VL floats and the functions that the kernels need of them. Included by kernels_impl.h, so that they too are compiled for
 * each instruction set. */
typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
typedef float vf_memory __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef uint16_t vh_memory __attribute__((vector_size(VL * 2), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define LOAD(p) (*(const vf_memory *)(p))
#define STORE(p, v) (*(vf_memory *)(p) = (v))
/* A subtraction of +0 folds away; an addition would not, for the sake of -0. */
#define SPLAT(s) ((s) - (vf){})
#define MAX(a, b) __builtin_elementwise_max(a, b)
#define MIN(a, b) __builtin_elementwise_min(a, b)

#if defined(AVX512_EXP2)

/* 2^x as p(x - floor x) * 2^floor x in two instructions of AVX-512 and a polynomial on [0, 1), relative error 8.3e-8 before
 * rounding. p(0) = 1 and p(1) = 2: a slow decay, x just below 0, must not be off always to one side, or a hidden state drifts. Any x:
 * scalef underflows to 0 and overflows to infinity by itself. */
#define EXP2_IN_RANGE(result, argument)                                                                    \
    do {                                                                                                   \
        vf exp2_a = (argument);                                                                            \
        vf exp2_f = (vf)_mm512_reduce_ps((__m512)exp2_a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);       \
        vf exp2_p = exp2_f * 0.001880902680568397f + 0.0089864581823349f;                                  \
        exp2_p = exp2_p * exp2_f + 0.05582338199019432f;                                                   \
        exp2_p = exp2_p * exp2_f + 0.24015720188617706f;                                                   \
        exp2_p = exp2_p * exp2_f + 0.6931520700454712f;                                                    \
        exp2_p = exp2_p * exp2_f + 1.0f;                                                                   \
        (result) = (vf)_mm512_scalef_ps((__m512)exp2_p, (__m512)exp2_a);                                   \
    } while (0)
#define EXP2 EXP2_IN_RANGE
#define AT_LEAST_EXP2_MIN(x) (x)

#else

/* 2^x for -126 <= x <= 126, clamped outside: nearest integer by the 1.5*2^23 trick, then a polynomial on [-0.5, 0.5]
 * with relative error 1.9e-9 before rounding. */
#define EXP2(result, argument)                                                                             \
    do {                                                                                                   \
        vf exp2_x = (argument);                                                                            \
        exp2_x = MIN(MAX(exp2_x, SPLAT(-126.0f)), SPLAT(126.0f));                                          \
        EXP2_IN_RANGE(result, exp2_x);                                                                     \
    } while (0)
#define EXP2_IN_RANGE(result, argument)                                                                    \
    do {                                                                                                   \
        vf exp2_a = (argument);                                                                            \
        vf exp2_shifted = exp2_a + 12582912.0f;                                                            \
        vf exp2_f = exp2_a - (exp2_shifted - 12582912.0f);                                                 \
        vf exp2_p = exp2_f * 0.00015345810970757157f + 0.0013399930903688073f;                             \
        exp2_p = exp2_p * exp2_f + 0.009618489071726799f;                                                  \
        exp2_p = exp2_p * exp2_f + 0.05550328642129898f;                                                   \
        exp2_p = exp2_p * exp2_f + 0.24022646248340607f;                                                   \
        exp2_p = exp2_p * exp2_f + 0.6931471824645996f;                                                    \
        exp2_p = exp2_p * exp2_f + 1.0f;                                                                   \
        (result) = (vf)((vi)exp2_p + ((vi)exp2_shifted << 23));                                            \
    } while (0)
#define AT_LEAST_EXP2_MIN(x) MAX(x, SPLAT(-126.0f))

#endif

#define LOG2E 1.4426950408889634f

/* ln(1 + t) for 0 <= t <= 1: 2 artanh(t / (2 + t)), relative error of the polynomial 4.0e-9. */
#define LOG1P(result, argument)                                                                            \
    do {                                                                                                   \
        vf log1p_t = (argument);                                                                           \
        vf log1p_s = log1p_t / (log1p_t + 2.0f);                                                           \
        vf log1p_q = log1p_s * log1p_s;                                                                    \
        vf log1p_p = log1p_q * 0.2817833423614502f + 0.27960604429244995f;                                 \
        log1p_p = log1p_p * log1p_q + 0.40024909377098083f;                                                \
        log1p_p = log1p_p * log1p_q + 0.6666631698608398f;                                                 \
        log1p_p = log1p_p * log1p_q + 2.0f;                                                                \
        (result) = log1p_p * log1p_s;                                                                      \
    } while (0)

#define SILU(result, argument)                                                                             \
    do {                                                                                                   \
        vf silu_x = (argument), silu_e;                                                                    \
        EXP2(silu_e, silu_x * -LOG2E);                                                                     \
        (result) = silu_x / (silu_e + 1.0f);                                                               \
    } while (0)
