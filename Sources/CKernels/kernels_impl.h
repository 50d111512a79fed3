/* The vector version of every kernel, written once and compiled for each instruction set by the file that includes it.
 *
 * The includer defines
 *   KERNELS          the table's symbol         KERNELS_NAME    its name
 *   VL               lanes of a vector          ROWS, VECS      tile of the matrix kernel, in tokens and vectors
 *   COLUMN_ROWS      tokens of its next smaller tile, which a column of 8 tokens fills
 *   dot_…, DOT_…     products of int8 weights, see linear_int8.h
 * and, around the include, the target of the code (a clang attribute pragma). Vectors are GCC vector extensions, so the
 * compiler chooses the instructions; arithmetic is plain fp32 with the contraction of a*b+c that C allows.
 */
#include "CKernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "vector_math.h"

INLINE size_t token(size_t step, size_t T, int direction) {
    return direction == AUMD_FORWARD ? step : T - 1 - step;
}

/* One vector of stored weights, widened; storage is a constant where this is inlined. */
INLINE vf weights_at(const void *values, size_t at, const int storage) {
    const char *from = (const char *)values + at * (storage == AUMD_BFLOAT16 ? 2 : 4);
    if (storage == AUMD_BFLOAT16) return (vf)(__builtin_convertvector(*(const vh_memory *)from, vi) << 16);
    return *(const vf_memory *)from;
}

/* Weights that a tile prefetches while it works: `step` bytes further at each input, and for each
 * AUMD_LANES of its outputs from `apart` further on. */
typedef struct {
    const char *from;
    size_t step, apart;
} prefetch;

/* R tokens by V vectors of outputs from `lane` on; R, V and storage are constants where this is inlined. `panel` holds the
 * weights of the outputs from `first` on, a multiple of AUMD_LANES. */
INLINE void linear_tile(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w,
                        const void *panel, size_t first, size_t lane, int accumulate, prefetch next, const int R, const int V,
                        const int storage) {
    vf sum[ROWS][VECS];
    size_t column[VECS];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
        size_t inside = lane - first + (size_t)v * VL;
        column[v] = inside / AUMD_LANES * w->in * AUMD_LANES + inside % AUMD_LANES;
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) sum[r][v] = SPLAT(0.0f);
    }
    for (size_t i = 0; i < w->in; i++) {
        vf weights[VECS];
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            weights[v] = weights_at(panel, column[v] + i * AUMD_LANES, storage);
            if (v * VL % AUMD_LANES == 0)
                __builtin_prefetch(next.from + i * next.step + (size_t)(v * VL / AUMD_LANES) * next.apart);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            vf value = SPLAT(x[(size_t)r * ldx + i]);
#pragma clang loop unroll(full)
            for (int v = 0; v < V; v++) sum[r][v] += value * weights[v];
        }
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
        size_t at = lane + (size_t)v * VL;
        vf bias = w->bias ? LOAD(w->bias + at) : SPLAT(0.0f);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            float *to = y + (size_t)r * ldy + at;
            vf result = (scale ? sum[r][v] * scale[r] : sum[r][v]) + bias;
            if (accumulate) result += LOAD(to);
            STORE(to, result);
        }
    }
}

/* Weights come from beyond the caches, and the processor's own prefetching ends at a page. So a tile prefetches the weights of
 * the next outputs, at the pace at which it reads its own; where many tiles of tokens read the same weights, they share that. */
INLINE void linear_rows(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w,
                        const void *panel, size_t first, size_t lane, size_t T, int accumulate, const int V,
                        const int storage) {
    const size_t line = AUMD_LANES * (storage == AUMD_BFLOAT16 ? 2 : 4), block = w->in * line, tiles = T / ROWS;
    const size_t blocks = ((size_t)V * VL + AUMD_LANES - 1) / AUMD_LANES;
    const char *from = (const char *)panel + (lane - first) / AUMD_LANES * block;
    const size_t step = tiles > 1 ? (line + tiles - 1) / tiles : line;
    prefetch next = {from + blocks * block, step, step * w->in};
    size_t t = 0;
#define TILES(rows)                                                                                                         \
    for (; t + (rows) <= T; t += (rows)) {                                                                                  \
        linear_tile(y + t * ldy, ldy, x + t * ldx, ldx, scale ? scale + t : NULL, w, panel, first, lane, accumulate, next,  \
                    rows, V, storage);                                                                                      \
        if (tiles > 1) next.from += blocks * next.apart;                                                                    \
    }
    TILES(ROWS)
    TILES(COLUMN_ROWS)
    TILES(2)
    TILES(1)
#undef TILES
}

/* Outputs whose weights are taken together: whole vectors, and whole blocks of the layout. */
#define PANEL (VECS * VL > AUMD_LANES ? VECS * VL : AUMD_LANES)
/* From so many tokens on, bfloat16 weights are widened once a panel and not once a tile, where the panel fits the stack. */
#define WIDEN_TOKENS (4 * ROWS)
#define WIDEN_FLOATS 65536

INLINE void linear_panel(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w,
                         const void *panel, size_t first, size_t end, size_t T, int accumulate, const int storage) {
    size_t lane = first;
    for (; lane + VECS * VL <= end; lane += VECS * VL)
        linear_rows(y, ldy, x, ldx, scale, w, panel, first, lane, T, accumulate, VECS, storage);
    for (; lane < end; lane += VL) linear_rows(y, ldy, x, ldx, scale, w, panel, first, lane, T, accumulate, 1, storage);
}

INLINE void linear_stored(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w,
                          size_t T, int accumulate, const int storage) {
    const size_t size = storage == AUMD_BFLOAT16 ? 2 : 4;
    const size_t lanes = (w->out + AUMD_LANES - 1) / AUMD_LANES * AUMD_LANES;
    const int widens = storage == AUMD_BFLOAT16 && T >= WIDEN_TOKENS && PANEL * w->in <= WIDEN_FLOATS;
    for (size_t first = 0; first < lanes; first += PANEL) {
        size_t end = first + PANEL < lanes ? first + PANEL : lanes;
        const char *panel = (const char *)w->values + first * w->in * size;
        if (widens) {
            __attribute__((aligned(64))) float wide[WIDEN_FLOATS];
            for (size_t i = 0; i < (end - first) * w->in; i += VL) STORE(wide + i, weights_at(panel, i, storage));
            linear_panel(y, ldy, x, ldx, scale, w, wide, first, end, T, accumulate, AUMD_FLOAT32);
        } else {
            linear_panel(y, ldy, x, ldx, scale, w, panel, first, end, T, accumulate, storage);
        }
    }
}

/* Independent accumulators: enough to hide the latency of a multiply-add. */
#define CHAINS 12

#include "linear_int8.h"

static void linear(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w, size_t T,
                   int accumulate) {
    switch (w->storage) {
    case AUMD_BFLOAT16: linear_stored(y, ldy, x, ldx, scale, w, T, accumulate, AUMD_BFLOAT16); break;
    case AUMD_INT8: linear_int8(y, ldy, x, ldx, scale, w, T, accumulate); break;
    default: linear_stored(y, ldy, x, ldx, scale, w, T, accumulate, AUMD_FLOAT32);
    }
}

static void inverse_rms(float *scale, const float *x, size_t ld, size_t T, size_t width, float eps) {
    for (size_t t = 0; t < T; t++, x += ld) {
        vf squares = SPLAT(0.0f);
        size_t i = 0;
        for (; i + VL <= width; i += VL) squares += LOAD(x + i) * LOAD(x + i);
        float sum = 0.0f;
        for (int lane = 0; lane < VL; lane++) sum += squares[lane];
        for (; i < width; i++) sum += x[i] * x[i];
        scale[t] = 1.0f / sqrtf(sum / (float)width + eps);
    }
}

/* Tokens a convolution takes at a time: their rows are read side by side, the taps once for all. */
#define CONV_TOKENS 8

/* `count` tokens from `first` on; rows holds the K - 1 inputs before them, then their own. K is a constant where this is inlined. */
INLINE void conv_rows(float *y, const float *const *rows, size_t ld, float *tail, const float *w, const float *bias, size_t first,
                      size_t count, size_t T, size_t E, const size_t K, int direction) {
    for (size_t e = 0; e < E; e += VL) {
        for (size_t s = 0; s < count; s++) {
            vf sum = LOAD(bias + e);
            for (size_t k = 0; k < K; k++) sum += LOAD(w + k * ld + e) * LOAD(rows[s + k] + e);
            SILU(sum, sum);
            STORE(y + token(first + s, T, direction) * ld + e, sum);
        }
        if (first + count == T)
            for (size_t k = 0; k + 1 < K; k++) STORE(tail + k * ld + e, LOAD(rows[count + k] + e));
    }
}

static void conv_silu(float *y, const float *x, size_t ld, float *tail, const float *w, const float *bias,
                      size_t T, size_t E, size_t K, int direction) {
    for (size_t first = 0; first < T; first += CONV_TOKENS) {
        const size_t count = T - first < CONV_TOKENS ? T - first : CONV_TOKENS;
        const float *rows[CONV_TOKENS + K - 1];
        for (size_t s = 0; s < count + K - 1; s++)
            rows[s] = first + s < K - 1 ? tail + (first + s) * ld : x + token(first + s - (K - 1), T, direction) * ld;
        if (K == 4 && count == CONV_TOKENS)
            conv_rows(y, rows, ld, tail, w, bias, first, CONV_TOKENS, T, E, 4, direction);
        else
            conv_rows(y, rows, ld, tail, w, bias, first, count, T, E, K, direction);
    }
}

static void softplus(float *x, size_t ld, size_t T, size_t width) {
    for (size_t t = 0; t < T; t++, x += ld)
        for (size_t i = 0; i < width; i += VL) {
            vf v = LOAD(x + i), e, l;
            EXP2(e, __builtin_elementwise_abs(v) * -LOG2E);
            LOG1P(l, e);
            STORE(x + i, MAX(v, SPLAT(0.0f)) + l);
        }
}

/* Bytes of the next matrix that a scan prefetches: as many as the second-level cache holds beside the rest. */
#define AHEAD (512 << 10)

/* Memory still to be prefetched, and how many cache lines at each step. */
typedef struct {
    const char *from, *end;
    size_t lines;
} prefetch_range;

INLINE prefetch_range prefetch_of(const aumd_matrix *w, size_t steps) {
    if (!w) return (prefetch_range){NULL, NULL, 0};
    const size_t size = aumd_matrix_size(w->out, w->in, w->storage), bytes = size < AHEAD ? size : AHEAD;
    return (prefetch_range){w->values, (const char *)w->values + bytes, (bytes / 64 + steps - 1) / steps};
}

/* One vector of channels over all tokens; the N states stay in registers where N is a constant. */
INLINE void scan_channels(float *y, const float *x, const float *dt, const float *z, size_t ld, const float *a2,
                          const float *bc, size_t ldbc, const float *d_skip, float *state, size_t T, const size_t N,
                          int direction, int accumulate, float gain, prefetch_range *next, vf *s) {
    vf skip = LOAD(d_skip);
#pragma clang loop unroll_count(16)
    for (size_t n = 0; n < N; n++) s[n] = LOAD(state + n * AUMD_LANES);
    for (size_t step = 0; step < T; step++) {
        size_t t = token(step, T, direction);
        vf xt = LOAD(x + t * ld), dtt = LOAD(dt + t * ld), dtx = dtt * xt, sum = SPLAT(0.0f);
        const float *B = bc + t * ldbc, *C = B + N;
        /* The next channels of this token: in a long sequence they come from memory, and the rows' distance hides that from
         * the processor's own prefetching. */
        __builtin_prefetch(x + t * ld + AUMD_LANES);
        __builtin_prefetch(y + t * ld + AUMD_LANES, 1);
        if (z) __builtin_prefetch(z + t * ld + AUMD_LANES);
        for (size_t line = 0; line < next->lines && next->from < next->end; line++, next->from += 64)
            __builtin_prefetch(next->from, 0, 2);
#pragma clang loop unroll_count(16)
        for (size_t n = 0; n < N; n++) {
            vf decay = dtt * LOAD(a2 + n * AUMD_LANES);
            EXP2_IN_RANGE(decay, AT_LEAST_EXP2_MIN(decay));
            s[n] = decay * s[n] + dtx * B[n];
            sum += s[n] * C[n];
        }
        sum += skip * xt;
        if (accumulate) sum += LOAD(y + t * ld);
        if (z) {
            vf gate;
            SILU(gate, LOAD(z + t * ld));
            sum *= gain * gate;
        }
        STORE(y + t * ld, sum);
    }
#pragma clang loop unroll_count(16)
    for (size_t n = 0; n < N; n++) STORE(state + n * AUMD_LANES, s[n]);
}

static void scan(float *y, const float *x, const float *dt, const float *z, size_t ld, const float *a2, const float *bc,
                 size_t ldbc, const float *d_skip, float *state, size_t T, size_t E, size_t N, int direction, int accumulate,
                 float gain, const aumd_matrix *next) {
    prefetch_range range = prefetch_of(next, T * ((E + VL - 1) / VL));
    for (size_t e = 0; e < E; e += VL) {
        size_t at = e / AUMD_LANES * N * AUMD_LANES + e % AUMD_LANES;
#define SCAN(states)                                                                                         \
    do {                                                                                                     \
        vf s[states];                                                                                        \
        scan_channels(y + e, x + e, dt + e, z ? z + e : NULL, ld, a2 + at, bc, ldbc, d_skip + e, state + at, \
                      T, states, direction, accumulate, gain, &range, s);                                            \
    } while (0)
        if (N == 16) SCAN(16);
        else if (N == 8) SCAN(8);
        else SCAN(N);
#undef SCAN
    }
}

/* NaN stays NaN, though EXP2 may clamp it: what is no number is no score. */
static void sigmoid(float *x, size_t n) {
    for (size_t i = 0; i < n; i += VL) {
        float lanes[VL] = {0};
        size_t count = n - i < VL ? n - i : VL;
        memcpy(lanes, x + i, count * sizeof *x);
        vf v = LOAD(lanes), e;
        EXP2(e, v * -LOG2E);
        e = 1.0f / (e + 1.0f);
        vi isNaN = v != v;
        STORE(lanes, (vf)(((vi)v & isNaN) | ((vi)e & ~isNaN)));
        memcpy(x + i, lanes, count * sizeof *x);
    }
}

#include "limits.h"

const aumd_kernels KERNELS = {KERNELS_NAME, VL, linear, inverse_rms, conv_silu, softplus, scan, sigmoid,
                              limit_multiply_adds, limit_int8_multiply_adds, limit_exponentials, limit_read};
