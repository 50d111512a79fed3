/* Every version of the kernels this processor can run against the scalar reference: for processors that the Swift tests do
 * not reach. Exits with 1 where one differs. Prints a digest of the products with int8 weights, whose sums are exact.
 *
 * Usage: kernels
 */
#include "CKernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;

/* SplitMix64 (Steele, Lea and Flood 2014), uniform in -1 to 1. */
static float uniform(void) {
    uint64_t z = seed += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return (float)((z ^ z >> 31) >> 40) * 0x1p-23f - 1.0f;
}

static float *floats(size_t n) {
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    for (size_t i = 0; i < n; i++) x[i] = uniform();
    return x;
}

static float *copy(const float *x, size_t n) {
    float *y = floats(n);
    memcpy(y, x, n * sizeof *x);
    return y;
}

static int failures = 0;

/* Compares `width` of every `row` values, relative to the larger of 1 and the value. */
static void agree(const char *kernel, const char *version, const float *a, const float *b, size_t n, size_t row, size_t width,
                  float limit) {
    float worst = 0.0f;
    for (size_t i = 0; i < n; i++)
        if (i % row < width) worst = fmaxf(worst, fabsf(a[i] - b[i]) / fmaxf(1.0f, fabsf(b[i])));
    if (worst <= limit) return;
    printf("%s, %s: differs by %g\n", kernel, version, worst);
    failures++;
}

static void linear(const aumd_kernels *k, uint64_t *digest) {
    static const size_t shapes[][2] = {{1, 1}, {3, 16}, {40, 17}, {48, 31}, {5, 33}, {128, 112}, {2049, 18}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t T = 1; T < 42; T += 1 + T / 4)
            for (int storage = AUMD_FLOAT32; storage <= AUMD_INT8; storage++) {
                size_t in = shapes[s][0], out = shapes[s][1], rows = (out + 15) / 16 * 16;
                float *w = floats(out * in), *x = floats(T * in), *bias = floats(rows), *found = floats(T * rows);
                float *expected = copy(found, T * rows), *packed = floats(rows * in), *scale = floats(rows);
                float *token_scale = floats(T);
                uint16_t *brains = malloc(rows * in * sizeof *brains);
                int8_t *integers = malloc(aumd_matrix_size(out, in, AUMD_INT8));
                int32_t *totals = malloc((in / AUMD_SEGMENT + 1) * rows * sizeof *totals);
                aumd_pack_matrix(packed, w, NULL, out, in);
                aumd_to_bf16(brains, packed, rows * in);
                aumd_pack_int8(integers, scale, totals, w, NULL, out, in);
                const void *values[] = {packed, brains, integers};
                aumd_matrix m = {out, in, storage, values[storage], scale, totals, bias};
                k->linear(found, rows, x, in, token_scale, &m, T, T % 2);
                aumd_kernels_reference.linear(expected, rows, x, in, token_scale, &m, T, T % 2);
                agree("linear", k->name, found, expected, T * rows, rows, out, 2e-5f * fmaxf(1.0f, (float)in / 128));
                m.bias = NULL;
                k->linear(found, rows, x, in, NULL, &m, T, 0);
                for (size_t t = 0; storage == AUMD_INT8 && t < T; t++)
                    for (size_t o = 0; o < out; o++) {
                        uint32_t bits;
                        memcpy(&bits, found + t * rows + o, sizeof bits);
                        *digest = (*digest ^ bits) * 0x100000001B3;
                    }
                free(w), free(x), free(bias), free(found), free(expected), free(packed), free(scale), free(brains);
                free(integers), free(totals), free(token_scale);
            }
}

static void scan(const aumd_kernels *k) {
    static const size_t states[] = {1, 3, 8, 16, 17};
    for (size_t s = 0; s < sizeof states / sizeof *states; s++)
        for (int direction = AUMD_BACKWARD; direction <= AUMD_FORWARD; direction += 2)
            for (int kind = 0; kind < 4; kind++) {
                int accumulate = kind / 2;
                size_t N = states[s], T = 9, E = 40, row = 48;
                float *x = floats(T * row), *dt = floats(T * row), *bc = floats(T * 2 * N), *skip = floats(row);
                float *z = kind % 2 ? floats(T * row) : NULL;
                float *a = floats(E * N), *a2 = floats(row * N), *state = floats(row * N), *y = floats(T * row);
                for (size_t i = 0; i < T * row; i++) dt[i] = fabsf(dt[i]);
                for (size_t i = 0; i < E * N; i++) a[i] = -1.44f * (float)(i % N + 1);
                aumd_pack_matrix(a2, a, NULL, E, N);
                float *expected_state = copy(state, row * N), *expected = copy(y, T * row);
                k->scan(y, x, dt, z, row, a2, bc, 2 * N, skip, state, T, E, N, direction, accumulate, 0.5f, NULL);
                aumd_kernels_reference.scan(expected, x, dt, z, row, a2, bc, 2 * N, skip, expected_state, T, E, N, direction,
                                            accumulate, 0.5f, NULL);
                agree("scan", k->name, y, expected, T * row, row, E, 1e-5f);
                /* Two whole blocks of 16 channels: the third holds padding. */
                agree("scan's state", k->name, state, expected_state, 32 * N, 1, 1, 1e-5f);
                free(x), free(dt), free(bc), free(skip), free(a), free(a2), free(state), free(y), free(expected_state);
                free(expected), free(z);
            }
}

static void convolution(const aumd_kernels *k) {
    for (size_t K = 1; K <= 6; K++)
        for (size_t T = 1; T <= 9; T++)
            for (int direction = AUMD_BACKWARD; direction <= AUMD_FORWARD; direction += 2) {
                size_t E = 40, row = 48;
                float *x = floats(T * row), *w = floats(K * row), *bias = floats(row), *tail = floats(K * row);
                float *expected_tail = copy(tail, K * row), *y = floats(T * row), *expected = floats(T * row);
                k->conv_silu(y, x, row, tail, w, bias, T, E, K, direction);
                aumd_kernels_reference.conv_silu(expected, x, row, expected_tail, w, bias, T, E, K, direction);
                agree("conv_silu", k->name, y, expected, T * row, row, E, 1e-5f);
                agree("conv_silu's tail", k->name, tail, expected_tail, (K - 1) * row, row, E, 0.0f);
                free(x), free(w), free(bias), free(tail), free(expected_tail), free(y), free(expected);
            }
}

static void pointwise(const aumd_kernels *k) {
    size_t n = 4096;
    float *x = floats(n);
    for (size_t i = 0; i < n; i++) x[i] *= 90.0f;
    float *a = copy(x, n), *b = copy(x, n);
    k->softplus(a, n, 1, n);
    aumd_kernels_reference.softplus(b, n, 1, n);
    agree("softplus", k->name, a, b, n, 1, 1, 1e-5f);
    memcpy(a, x, n * sizeof *a), memcpy(b, x, n * sizeof *b);
    k->sigmoid(a, n - 3);
    aumd_kernels_reference.sigmoid(b, n - 3);
    agree("sigmoid", k->name, a, b, n, 1, 1, 1e-5f);
    k->inverse_rms(a, x, 64, 4, 57, 1e-5f);
    aumd_kernels_reference.inverse_rms(b, x, 64, 4, 57, 1e-5f);
    agree("inverse_rms", k->name, a, b, 4, 4, 4, 1e-6f);
    free(x), free(a), free(b);
}

int main(void) {
    const aumd_kernels *list[AUMD_MAX_KERNELS];
    size_t count = aumd_kernels_available(list);
    for (size_t i = 0; i < count; i++) {
        uint64_t digest = 0xCBF29CE484222325;
        seed = 1;
        linear(list[i], &digest);
        scan(list[i]);
        convolution(list[i]);
        pointwise(list[i]);
        printf("%s: int8 digest %016llx\n", list[i]->name, (unsigned long long)digest);
    }
    return failures > 0;
}
