/* Products with int8 weights: tokens are rounded to int8 as they come, products are summed as integers, and a sum is scaled
 * to fp32 once. Integer sums are exact, so every processor gets the same ones.
 *
 * Included by kernels_impl.h, so that it too is compiled for each instruction set. The file that includes that defines, for
 * four inputs of a token by some of the 16 outputs of a group:
 *   dot_input        how a rounded input is kept         DOT_OFFSET   what is added to it, to make it fit
 *   DOT_ROWS         tokens of a tile                    DOT_GROUPS   groups of a tile
 *   DOT_BYTES        weights of one dot_add; 64 are a group's: 16 outputs of 4 inputs each
 *   dot_weights(p), dot_inputs(p), dot_add(sum, inputs, weights)
 * A sum has VL values: an output each, or two of an output side by side.
 */

#define DOT_PARTS (64 / DOT_BYTES)
/* The v-th vector of outputs from a token's sums. */
#if DOT_BYTES == 4 * VL
#define DOT_OUTPUTS(sums, v) (sums)[v]
#else
#if VL == 16
#define EVERY_SECOND(first) first, first + 2, first + 4, first + 6, first + 8, first + 10, first + 12, first + 14, \
    first + 16, first + 18, first + 20, first + 22, first + 24, first + 26, first + 28, first + 30
#elif VL == 8
#define EVERY_SECOND(first) first, first + 2, first + 4, first + 6, first + 8, first + 10, first + 12, first + 14
#else
#define EVERY_SECOND(first) first, first + 2, first + 4, first + 6
#endif
#define DOT_OUTPUTS(sums, v)                                                                               \
    (__builtin_shufflevector((sums)[2 * (v)], (sums)[2 * (v) + 1], EVERY_SECOND(0))                        \
     + __builtin_shufflevector((sums)[2 * (v)], (sums)[2 * (v) + 1], EVERY_SECOND(1)))
#endif
/* Bytes of four inputs of the outputs that lie side by side, and of so many inputs of one group. */
#define DOT_STRIDE (4 * AUMD_INT8_LANES)
#define DOT_GROUP (4 * AUMD_LANES)
/* How far ahead of its weights a tile asks for more: far enough for memory, near enough for the first-level cache. */
#define DOT_AHEAD 12288
/* Tokens rounded at a time: enough to read the weights seldom, few enough to stay in the first-level cache's reach. */
#define DOT_TOKENS 32

typedef int32_t vi_memory __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef dot_input vq_memory __attribute__((vector_size(VL * sizeof(dot_input)), aligned(1), may_alias));

/* q (in, rounded up to 4) = round(x / scale) + offset; returns the scale. Ties go to even, as in lrintf. */
INLINE float round_token(dot_input *q, const float *x, size_t in) {
#pragma clang fp contract(off)
    float largest = 0.0f;
    size_t i = 0;
    if (in >= VL) {
        vf peaks[4] = {SPLAT(0.0f), SPLAT(0.0f), SPLAT(0.0f), SPLAT(0.0f)}; /* Four, so that none waits for the one before. */
        for (; i + 4 * VL <= in; i += 4 * VL)
#pragma clang loop unroll(full)
            for (size_t p = 0; p < 4; p++) peaks[p] = MAX(peaks[p], __builtin_elementwise_abs(LOAD(x + i + p * VL)));
        for (; i + VL <= in; i += VL) peaks[0] = MAX(peaks[0], __builtin_elementwise_abs(LOAD(x + i)));
        largest = __builtin_reduce_max(MAX(MAX(peaks[0], peaks[1]), MAX(peaks[2], peaks[3])));
    }
    for (; i < in; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    float inverse = largest > AUMD_SMALLEST ? 127.0f / largest : 0.0f;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer. */
    for (i = 0; i + VL <= in; i += VL) {
        vi rounded = (vi)(LOAD(x + i) * inverse + magic) - (vi)SPLAT(magic) + DOT_OFFSET;
        *(vq_memory *)(q + i) = __builtin_convertvector(rounded, vq_memory);
    }
    for (; i < in; i++) q[i] = (dot_input)((int)lrintf(x[i] * inverse) + DOT_OFFSET);
    for (; i % 4 != 0; i++) q[i] = 0;
    return largest / 127.0f;
}

/* R tokens by G groups of outputs from `group` on, side by side; R and G are constants where this is inlined. `values` is the
 * group's first weight, `steps` the inputs / 4 that are summed. */
INLINE void dot_tile(float *y, size_t ldy, const dot_input *q, size_t ldq, const float *scales, const aumd_matrix *w,
                     const int8_t *values, const int32_t *totals, size_t group, size_t steps, int accumulate, int biased,
                     const int R, const int G) {
    vi sum[DOT_ROWS][DOT_GROUPS * DOT_PARTS];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < G * DOT_PARTS; v++) sum[r][v] = (vi){};
    for (size_t step = 0; step < steps; step++) {
        dot_vector weights[DOT_GROUPS * DOT_PARTS];
#pragma clang loop unroll(full)
        for (int g = 0; g < G; g++) {
            const int8_t *from = values + step * DOT_STRIDE + (size_t)g * DOT_GROUP;
            __builtin_prefetch(from + DOT_AHEAD);
#pragma clang loop unroll(full)
            for (int p = 0; p < DOT_PARTS; p++) weights[g * DOT_PARTS + p] = dot_weights(from + p * DOT_BYTES);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            dot_vector inputs = dot_inputs(q + (size_t)r * ldq + step * 4);
#pragma clang loop unroll(full)
            for (int v = 0; v < G * DOT_PARTS; v++) sum[r][v] = dot_add(sum[r][v], inputs, weights[v]);
        }
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < G * AUMD_LANES / VL; v++) {
        const size_t o = group * AUMD_LANES + (size_t)v * VL;
        vi offset = DOT_OFFSET * *(const vi_memory *)(totals + o);
        vf scale = LOAD(w->scale + o), bias = biased ? LOAD(w->bias + o) : SPLAT(0.0f);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            float *to = y + (size_t)r * ldy + o;
            vf result = __builtin_convertvector(DOT_OUTPUTS(sum[r], v) - offset, vf) * (scales[r] * scale) + bias;
            if (accumulate) result += LOAD(to);
            STORE(to, result);
        }
    }
}

INLINE void dot_rows(float *y, size_t ldy, const dot_input *q, size_t ldq, const float *scales, const aumd_matrix *w,
                     const int8_t *values, const int32_t *totals, size_t group, size_t steps, size_t T, int accumulate,
                     int biased, const int G) {
    size_t t = 0;
    for (; t + DOT_ROWS <= T; t += DOT_ROWS)
        dot_tile(y + t * ldy, ldy, q + t * ldq, ldq, scales + t, w, values, totals, group, steps, accumulate, biased,
                 DOT_ROWS, G);
    for (; t < T; t++)
        dot_tile(y + t * ldy, ldy, q + t * ldq, ldq, scales + t, w, values, totals, group, steps, accumulate, biased, 1, G);
}

static void linear_int8(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w, size_t T,
                        int accumulate) {
    const size_t groups = (w->out + AUMD_LANES - 1) / AUMD_LANES, block = (w->in + 3) / 4 * DOT_STRIDE;
    for (size_t first = 0; first < T; first += DOT_TOKENS) {
        const size_t tokens = T - first < DOT_TOKENS ? T - first : DOT_TOKENS;
        for (size_t segment = 0; segment * AUMD_SEGMENT < w->in; segment++) {
            dot_input q[DOT_TOKENS * AUMD_SEGMENT];
            float scales[DOT_TOKENS];
            const size_t from = segment * AUMD_SEGMENT;
            const size_t in = w->in - from < AUMD_SEGMENT ? w->in - from : AUMD_SEGMENT, steps = (in + 3) / 4;
            for (size_t t = 0; t < tokens; t++) {
                scales[t] = round_token(q + t * steps * 4, x + (first + t) * ldx + from, in);
                if (scale) scales[t] *= scale[first + t];
            }
            const int8_t *values = (const int8_t *)w->values + from / 4 * DOT_STRIDE;
            const int32_t *totals = w->totals + segment * groups * AUMD_LANES;
            const int adds = accumulate || segment > 0, biased = w->bias && segment == 0;
            float *to = y + first * ldy;
            size_t group = 0;
#define GROUPS(count)                                                                                                       \
    for (; group + (count) <= groups; group += (count))                                                                     \
        dot_rows(to, ldy, q, steps * 4, scales, w, values + group / 2 * block + group % 2 * DOT_GROUP, totals, group, steps, \
                 tokens, adds, biased, count);
            GROUPS(DOT_GROUPS)
            GROUPS(1)
#undef GROUPS
        }
    }
}

static float limit_int8_multiply_adds(size_t n) {
    static const int8_t values[64] = {1, 2, 3, 4};
    dot_input one[4] = {1, 1, 1, 1};
    vi sum[CHAINS];
    dot_vector weights = dot_weights(values);
    for (int i = 0; i < CHAINS; i++) sum[i] = (vi){};
    for (size_t step = 0; step < n; step += CHAINS * DOT_BYTES) {
        __asm__ volatile("" : "+m"(one)); /* Or the product would be taken out of the loop. */
        dot_vector inputs = dot_inputs(one);
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) sum[i] = dot_add(sum[i], inputs, weights);
    }
    int32_t total = 0;
    for (int i = 0; i < CHAINS; i++)
        for (int lane = 0; lane < VL; lane++) total += sum[i][lane];
    return (float)total;
}
