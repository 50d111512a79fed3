/* What the processor can do at most, for `aumd bench`: see aumd_kernels in CKernels.h. Included by kernels_impl.h. */
static float sum_of(const vf *v) {
    float sum = 0.0f;
    for (int i = 0; i < CHAINS; i++)
        for (int lane = 0; lane < VL; lane++) sum += v[i][lane];
    return sum;
}

static float limit_multiply_adds(size_t n) {
    vf v[CHAINS], factor = SPLAT(0.9999f), term = SPLAT(1e-3f);
    for (int i = 0; i < CHAINS; i++) v[i] = SPLAT((float)i);
    for (size_t step = 0; step < n; step += CHAINS * VL)
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) v[i] = v[i] * factor + term;
    return sum_of(v);
}

static float limit_exponentials(size_t n) {
    vf v[CHAINS];
    for (int i = 0; i < CHAINS; i++) v[i] = SPLAT(-0.1f * (float)i);
    for (size_t step = 0; step < n; step += CHAINS * VL)
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            EXP2_IN_RANGE(v[i], AT_LEAST_EXP2_MIN(v[i]));
            v[i] -= 1.5f;
        }
    return sum_of(v);
}

static float limit_read(const float *x, size_t n) {
    vf v[CHAINS];
    for (int i = 0; i < CHAINS; i++) v[i] = SPLAT(0.0f);
    for (size_t at = 0; at + CHAINS * VL <= n; at += CHAINS * VL)
#pragma clang loop unroll(full)
        for (size_t i = 0; i < CHAINS; i++) v[i] += LOAD(x + at + i * VL);
    return sum_of(v);
}
