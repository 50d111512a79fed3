#include "CKernels.h"

#include <math.h>

#define PACKED(w, in, o, i) (w)[((o) / AUMD_LANES * (in) + (i)) * AUMD_LANES + (o) % AUMD_LANES]

static float value(const aumd_matrix *w, size_t o, size_t i) {
    float wide;
    if (w->storage == AUMD_FLOAT32) return PACKED((const float *)w->values, w->in, o, i);
    aumd_from_bf16(&wide, &PACKED((const uint16_t *)w->values, w->in, o, i), 1);
    return wide;
}

/* One segment of one token times one output, both rounded to int8. */
static float segment_product(const float *x, const aumd_matrix *w, size_t o, size_t first, size_t end) {
    const int8_t *values = w->values;
    size_t steps = (w->in + 3) / 4;
    float largest = 0.0f;
    for (size_t i = first; i < end; i++) largest = fmaxf(largest, fabsf(x[i]));
    float inverse = largest > AUMD_SMALLEST ? 127.0f / largest : 0.0f;
    int32_t sum = 0;
    for (size_t i = first; i < end; i++)
        sum += (int32_t)lrintf(x[i] * inverse)
               * values[((o / AUMD_INT8_LANES * steps + i / 4) * AUMD_INT8_LANES + o % AUMD_INT8_LANES) * 4 + i % 4];
    return (float)sum * (largest / 127.0f * w->scale[o]);
}

static size_t token(size_t step, size_t T, int direction) {
    return direction == AUMD_FORWARD ? step : T - 1 - step;
}

static float silu(float x) { return x / (1.0f + expf(-x)); }

static void linear(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w, size_t T,
                   int accumulate) {
    for (size_t t = 0; t < T; t++)
        for (size_t o = 0; o < w->out; o++) {
            float sum = 0.0f;
            if (w->storage == AUMD_INT8)
                for (size_t i = 0; i < w->in; i += AUMD_SEGMENT)
                    sum += segment_product(x + t * ldx, w, o, i, w->in - i < AUMD_SEGMENT ? w->in : i + AUMD_SEGMENT);
            else
                for (size_t i = 0; i < w->in; i++) sum += x[t * ldx + i] * value(w, o, i);
            if (scale) sum *= scale[t];
            if (w->bias) sum += w->bias[o];
            y[t * ldy + o] = accumulate ? y[t * ldy + o] + sum : sum;
        }
}

static void inverse_rms(float *scale, const float *x, size_t ld, size_t T, size_t width, float eps) {
    for (size_t t = 0; t < T; t++) {
        float sum = 0.0f;
        for (size_t i = 0; i < width; i++) sum += x[t * ld + i] * x[t * ld + i];
        scale[t] = 1.0f / sqrtf(sum / (float)width + eps);
    }
}

static void conv_silu(float *y, const float *x, size_t ld, float *tail, const float *w, const float *bias,
                      size_t T, size_t E, size_t K, int direction) {
    for (size_t step = 0; step < T; step++) {
        size_t t = token(step, T, direction);
        for (size_t e = 0; e < E; e++) {
            float sum = bias[e];
            for (size_t k = 0; k + 1 < K; k++) sum += w[k * ld + e] * tail[k * ld + e];
            sum += w[(K - 1) * ld + e] * x[t * ld + e];
            for (size_t k = 0; k + 2 < K; k++) tail[k * ld + e] = tail[(k + 1) * ld + e];
            if (K > 1) tail[(K - 2) * ld + e] = x[t * ld + e];
            y[t * ld + e] = silu(sum);
        }
    }
}

static void softplus(float *x, size_t ld, size_t T, size_t width) {
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < width; i++) {
            float v = x[t * ld + i];
            x[t * ld + i] = fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v)));
        }
}

static void scan(float *y, const float *x, const float *dt, const float *z, size_t ld, const float *a2, const float *bc,
                 size_t ldbc, const float *d_skip, float *state, size_t T, size_t E, size_t N, int direction, int accumulate,
                 float gain, const aumd_matrix *next) {
    (void)next;
    for (size_t step = 0; step < T; step++) {
        size_t t = token(step, T, direction);
        const float *B = bc + t * ldbc, *C = B + N;
        for (size_t e = 0; e < E; e++) {
            float sum = 0.0f, xt = x[t * ld + e], dtt = dt[t * ld + e];
            for (size_t n = 0; n < N; n++) {
                float *s = &PACKED(state, N, e, n);
                *s = exp2f(dtt * PACKED(a2, N, e, n)) * *s + dtt * xt * B[n];
                sum += *s * C[n];
            }
            sum += d_skip[e] * xt;
            if (accumulate) sum += y[t * ld + e];
            y[t * ld + e] = z ? sum * gain * silu(z[t * ld + e]) : sum;
        }
    }
}

static void sigmoid(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = 1.0f / (1.0f + expf(-x[i]));
}

static float limit_multiply_adds(size_t n) {
    float v = 0.0f;
    for (size_t i = 0; i < n; i++) v = v * 0.9999f + 1e-3f;
    return v;
}

static float limit_int8_multiply_adds(size_t n) {
    static const int8_t values[4] = {1, 2, 3, 4};
    int32_t v = 0;
    for (size_t i = 0; i < n; i++) v += values[i % 4] * values[(i + v) % 4];
    return (float)v;
}

static float limit_exponentials(size_t n) {
    float v = 0.0f;
    for (size_t i = 0; i < n; i++) v = exp2f(v) - 1.5f;
    return v;
}

static float limit_read(const float *x, size_t n) {
    float v = 0.0f;
    for (size_t i = 0; i < n; i++) v += x[i];
    return v;
}

const aumd_kernels aumd_kernels_reference = {
    "reference", 1, linear, inverse_rms, conv_silu, softplus, scan, sigmoid,
    limit_multiply_adds, limit_int8_multiply_adds, limit_exponentials, limit_read,
};
