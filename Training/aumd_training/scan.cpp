// Selective scan and causal convolution with gradients, for CPU training.
//
// Shapes: B batch, L tokens, E inner channels, N states, K convolution width; row-major float32.
// Channels are the vector lanes (16 at a time), so a step needs no horizontal sum. The backward pass
// recomputes the states of one block of channels instead of storing them all. Every *_backward
// mirrors the function above it; gradients are prefixed d.

#include <torch/extension.h>

#include <ATen/Parallel.h>
#include <cstring>
#include <mutex>
#include <vector>

namespace {

constexpr int LANES = 16;
// Keeps the states of a block in registers.
#define UNROLL _Pragma("GCC unroll 16")
constexpr float LOG2E = 1.44269504f;
typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t IntVec __attribute__((vector_size(LANES * 4)));

inline Vec load(const float* p) { Vec v; std::memcpy(&v, p, sizeof v); return v; }
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
// Rows of a block of channels lie E apart, which the processor's own prefetching does not follow: the next block's are asked
// for while this one is at work.
inline void expect_read(const float* p) { __builtin_prefetch(p + LANES); }
inline void expect_write(const float* p) { __builtin_prefetch(p + LANES, 1); }
inline Vec splat(float x) { return Vec{} + x; }
inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
inline float sum(Vec v) { float s = 0; for (int i = 0; i < LANES; ++i) s += v[i]; return s; }

// 2^x, relative error below 3e-7; x below -126 gives about 2^-126.
inline Vec exp2(Vec x) {
  x = max(x, splat(-126.0f));
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec shifted = x + magic;
  const Vec f = x - (shifted - magic);
  Vec p = splat(1.5403530e-4f);
  p = p * f + 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}
inline Vec exp(Vec x) { return exp2(x * LOG2E); }
inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-max(x, splat(-80.0f)))); }
inline Vec silu(Vec x) { return x * sigmoid(x); }
inline Vec dsilu(Vec x) { const Vec s = sigmoid(x); return s * (1.0f + x * (1.0f - s)); }

// log(1 + exp(x)); log1p by the series of 2 atanh(e / (2 + e)).
inline Vec softplus(Vec x) {
  const Vec magnitude = x > 0 ? x : -x;
  const Vec e = exp(-magnitude);
  const Vec w = e / (2.0f + e), q = w * w;
  Vec p = splat(1.0f / 11);
  p = p * q + 1.0f / 9;
  p = p * q + 1.0f / 7;
  p = p * q + 1.0f / 5;
  p = p * q + 1.0f / 3;
  p = p * q + 1.0f;
  return max(x, Vec{}) + 2.0f * w * p;
}

// One direction over one block of 16 channels.
template <int N>
struct Direction {
  int64_t tokens;
  bool reversed;
  const uint8_t* edge;  // (L) of the reversed direction: 1 where its state starts from zero; or null
  Vec a[N];             // A * log2(e) of the block's channels

  Direction(int64_t tokens, bool reversed, const uint8_t* edge, const float* A)  // A (16, N)
      : tokens(tokens), reversed(reversed), edge(reversed ? edge : nullptr) {
    for (int n = 0; n < N; ++n)
      for (int i = 0; i < LANES; ++i) a[n][i] = A[i * N + n] * LOG2E;
  }
  int64_t token(int64_t step) const { return reversed ? tokens - 1 - step : step; }
  bool starts(int64_t t) const { return edge && edge[t]; }

  // y (L, 16) += scan; delta, du = delta * u (L, 16); Bm, Cm (L, N); state (N, 16) enters and leaves.
  // After token `keep` the state is copied to `kept`.
  void forward(const Vec* delta, const Vec* du, const float* Bm, const float* Cm, Vec* y, Vec* state, int64_t keep,
               Vec* kept) const {
    Vec s[N];
    UNROLL
    for (int n = 0; n < N; ++n) s[n] = state[n];
    for (int64_t step = 0; step < tokens; ++step) {
      const int64_t t = token(step);
      if (starts(t))
        UNROLL
        for (int n = 0; n < N; ++n) s[n] = Vec{};
      const Vec d = delta[t], x = du[t];
      const float *b = Bm + t * N, *c = Cm + t * N;
      Vec y0{}, y1{};
      UNROLL
      for (int n = 0; n < N; n += 2) {
        s[n] = exp2(d * a[n]) * s[n] + x * b[n];
        s[n + 1] = exp2(d * a[n + 1]) * s[n + 1] + x * b[n + 1];
        y0 += s[n] * c[n];
        y1 += s[n + 1] * c[n + 1];
      }
      y[t] += y0 + y1;
      if (t == keep)
        UNROLL
        for (int n = 0; n < N; ++n) kept[n] = s[n];
    }
  }

  // From dy (L, 16): adds to ddelta, ddu (L, 16), dB, dC (L, N, 16 lanes) and dA (N, 16).
  // states, decay (L, N, 16) are scratch.
  void backward(const Vec* delta, const Vec* du, const float* Bm, const float* Cm, const Vec* dy, Vec* ddelta, Vec* ddu,
                Vec* dB, Vec* dC, Vec* dA, Vec* states, Vec* decay) const {
    Vec s[N];
    UNROLL
    for (int n = 0; n < N; ++n) s[n] = Vec{};
    for (int64_t step = 0; step < tokens; ++step) {
      const int64_t t = token(step);
      if (starts(t))
        UNROLL
        for (int n = 0; n < N; ++n) s[n] = Vec{};
      UNROLL
      for (int n = 0; n < N; ++n) {
        const Vec e = exp2(delta[t] * a[n]);
        s[n] = e * s[n] + du[t] * Bm[t * N + n];
        decay[t * N + n] = e;
        states[t * N + n] = s[n];
      }
    }
    Vec g[N];
    UNROLL
    for (int n = 0; n < N; ++n) g[n] = Vec{};
    for (int64_t step = tokens - 1; step >= 0; --step) {
      const int64_t t = token(step);
      const bool first = step == 0 || starts(t);
      const Vec* before = first ? nullptr : states + token(step - 1) * N;
      Vec gx{}, gd{};
      UNROLL
      for (int n = 0; n < N; ++n) {
        const Vec gn = g[n] + dy[t] * Cm[t * N + n];
        dC[t * N + n] += dy[t] * states[t * N + n];
        dB[t * N + n] += gn * du[t];
        gx += gn * Bm[t * N + n];
        g[n] = gn * decay[t * N + n];
        if (before) {
          const Vec q = g[n] * before[n];  // d(delta A)
          gd += q * a[n];
          dA[n] += q * delta[t];
        }
      }
      if (first)
        UNROLL
        for (int n = 0; n < N; ++n) g[n] = Vec{};
      ddu[t] += gx;
      ddelta[t] += gd * (1 / LOG2E);
    }
  }
};

struct Shape {
  int64_t B, L, E, N;
};

const float* data(const at::Tensor& t) {
  TORCH_CHECK(t.is_contiguous() && t.scalar_type() == at::kFloat, "scan: expected contiguous float32 tensors");
  return t.data_ptr<float>();
}
float* grad(const at::Tensor& t) { return t.data_ptr<float>(); }

template <typename Body>
void with_states(int64_t N, Body body) {
  switch (N) {
    case 4: return body(std::integral_constant<int, 4>{});
    case 8: return body(std::integral_constant<int, 8>{});
    case 16: return body(std::integral_constant<int, 16>{});
    default: TORCH_CHECK(false, "scan: N is ", N, "; 4, 8 and 16 are compiled");
  }
}

Shape shape_of(const at::Tensor& u, const at::Tensor& A) {
  const Shape s{u.size(0), u.size(1), u.size(2), A.size(1)};
  TORCH_CHECK(s.E % LANES == 0, "scan: E is ", s.E, ", not a multiple of ", LANES);
  return s;
}

}  // namespace

// out = (y_forward + y_backward) * silu(z), y before the gate, and the forward state after token `keep`.
// u, dt (before softplus), z (B, L, E); A_f, A_b (E, N), A_b empty: forward only; Bm, Cm (B, L, N); D (E);
// edges (L) uint8; state (B, E / 16, N, 16) empty: zero.
std::vector<at::Tensor> scan_forward(at::Tensor u, at::Tensor dt, at::Tensor z, at::Tensor A_f, at::Tensor A_b,
                                     at::Tensor Bm, at::Tensor Cm, at::Tensor D, at::Tensor edges, at::Tensor state,
                                     int64_t keep) {
  const Shape s = shape_of(u, A_f);
  const bool both = A_b.numel() > 0;
  const int64_t blocks = s.E / LANES;
  at::Tensor out = at::empty_like(u), y_out = at::empty_like(u);
  at::Tensor kept = at::zeros({keep >= 0 ? s.B : 0, blocks, s.N, LANES}, u.options());
  const float *pu = data(u), *pdt = data(dt), *pz = data(z), *pf = data(A_f), *pb = data(A_b), *pB = data(Bm),
              *pC = data(Cm), *pD = data(D), *ps = data(state);
  const bool has_state = state.numel() > 0;
  const uint8_t* pe = edges.data_ptr<uint8_t>();
  float *po = grad(out), *py = grad(y_out), *pk = grad(kept);
  with_states(s.N, [&](auto states) {
    constexpr int N = decltype(states)::value;
    at::parallel_for(0, s.B * blocks, 1, [&](int64_t from, int64_t to) {
      std::vector<Vec> delta(s.L), du(s.L), y(s.L);
      for (int64_t task = from; task < to; ++task) {
        const int64_t b = task / blocks, e = task % blocks * LANES, base = b * s.L * s.E + e;
        const Vec skip = load(pD + e) * (both ? 2.0f : 1.0f);
        for (int64_t t = 0; t < s.L; ++t) {
          const int64_t i = base + t * s.E;
          expect_read(pu + i), expect_read(pdt + i);
          const Vec x = load(pu + i);
          delta[t] = softplus(load(pdt + i));
          du[t] = delta[t] * x;
          y[t] = skip * x;
        }
        Vec initial[N] = {}, last[N] = {}, zero[N] = {};
        if (has_state)
          for (int n = 0; n < N; ++n) initial[n] = load(ps + (task * N + n) * LANES);
        const float *b_row = pB + b * s.L * N, *c_row = pC + b * s.L * N;
        Direction<N>(s.L, false, pe, pf + e * N)
            .forward(delta.data(), du.data(), b_row, c_row, y.data(), initial, keep, last);
        if (both)
          Direction<N>(s.L, true, pe, pb + e * N)
              .forward(delta.data(), du.data(), b_row, c_row, y.data(), zero, -1, nullptr);
        for (int64_t t = 0; t < s.L; ++t) {
          const int64_t i = base + t * s.E;
          expect_read(pz + i), expect_write(py + i), expect_write(po + i);
          store(py + i, y[t]);
          store(po + i, y[t] * silu(load(pz + i)));
        }
        if (keep >= 0)
          for (int n = 0; n < N; ++n) store(pk + (task * N + n) * LANES, last[n]);
      }
    });
  });
  return {out, y_out, kept};
}

// Gradients of out with respect to u, dt, z, A_f, A_b, Bm, Cm, D, in this order.
std::vector<at::Tensor> scan_backward(at::Tensor dout, at::Tensor y, at::Tensor u, at::Tensor dt, at::Tensor z,
                                      at::Tensor A_f, at::Tensor A_b, at::Tensor Bm, at::Tensor Cm, at::Tensor D,
                                      at::Tensor edges) {
  const Shape s = shape_of(u, A_f);
  const bool both = A_b.numel() > 0;
  at::Tensor gu = at::empty_like(u), gdt = at::empty_like(u), gz = at::empty_like(u), gf = at::zeros_like(A_f),
             gb = at::zeros_like(A_b), gB = at::empty_like(Bm), gC = at::empty_like(Cm), gD = at::zeros_like(D);
  const float *pdo = data(dout), *py = data(y), *pu = data(u), *pdt = data(dt), *pz = data(z), *pf = data(A_f),
              *pb = data(A_b), *pB = data(Bm), *pC = data(Cm), *pD = data(D);
  const uint8_t* pe = edges.data_ptr<uint8_t>();
  float *qu = grad(gu), *qdt = grad(gdt), *qz = grad(gz), *qf = grad(gf), *qb = grad(gb), *qB = grad(gB),
        *qC = grad(gC), *qD = grad(gD);
  std::mutex shared;
  with_states(s.N, [&](auto count) {
    constexpr int N = decltype(count)::value;
    at::parallel_for(0, s.B, 1, [&](int64_t from, int64_t to) {
      std::vector<Vec> delta(s.L), du(s.L), dy(s.L), ddelta(s.L), ddu(s.L);
      std::vector<Vec> states(s.L * N), decay(s.L * N), dB(s.L * N), dC(s.L * N);
      std::vector<float> dA_f(s.E * N, 0), dA_b(both ? s.E * N : 0, 0), dD(s.E, 0);
      for (int64_t b = from; b < to; ++b) {
        std::fill(dB.begin(), dB.end(), Vec{});
        std::fill(dC.begin(), dC.end(), Vec{});
        for (int64_t e = 0; e < s.E; e += LANES) {
          const int64_t base = b * s.L * s.E + e;
          Vec skip{};
          for (int64_t t = 0; t < s.L; ++t) {
            const int64_t i = base + t * s.E;
            expect_read(pu + i), expect_read(pz + i), expect_read(pdo + i), expect_read(pdt + i), expect_read(py + i);
            expect_write(qz + i);
            const Vec x = load(pu + i), gate = load(pz + i), o = load(pdo + i);
            delta[t] = softplus(load(pdt + i));
            du[t] = delta[t] * x;
            dy[t] = o * silu(gate);
            store(qz + i, o * load(py + i) * dsilu(gate));
            skip += dy[t] * x;
            ddelta[t] = ddu[t] = Vec{};
          }
          const float *b_row = pB + b * s.L * N, *c_row = pC + b * s.L * N;
          const auto run = [&](const float* A, bool reversed, std::vector<float>& dA) {
            Vec g[N] = {};
            Direction<N>(s.L, reversed, pe, A + e * N)
                .backward(delta.data(), du.data(), b_row, c_row, dy.data(), ddelta.data(), ddu.data(), dB.data(),
                          dC.data(), g, states.data(), decay.data());
            for (int n = 0; n < N; ++n)
              for (int i = 0; i < LANES; ++i) dA[(e + i) * N + n] += g[n][i];
          };
          run(pf, false, dA_f);
          if (both) run(pb, true, dA_b);
          const float directions = both ? 2.0f : 1.0f;
          const Vec d = load(pD + e) * directions;
          for (int64_t t = 0; t < s.L; ++t) {
            const int64_t i = base + t * s.E;
            expect_write(qu + i), expect_write(qdt + i);
            store(qu + i, dy[t] * d + ddu[t] * delta[t]);
            store(qdt + i, (ddelta[t] + ddu[t] * load(pu + i)) * sigmoid(load(pdt + i)));
          }
          for (int i = 0; i < LANES; ++i) dD[e + i] += skip[i] * directions;
        }
        for (int64_t i = 0; i < s.L * N; ++i) {
          qB[b * s.L * N + i] = sum(dB[i]);
          qC[b * s.L * N + i] = sum(dC[i]);
        }
      }
      const std::lock_guard<std::mutex> lock(shared);
      for (size_t i = 0; i < dA_f.size(); ++i) qf[i] += dA_f[i];
      for (size_t i = 0; i < dA_b.size(); ++i) qb[i] += dA_b[i];
      for (size_t i = 0; i < dD.size(); ++i) qD[i] += dD[i];
    });
  });
  return {gu, gdt, gz, gf, gb, gB, gC, gD};
}

// silu of a causal depthwise convolution. x (B, L, E), weight (K, E), bias (E); tail (B, K - 1, E) holds the
// inputs before the first token, empty: zeros.
at::Tensor conv_forward(at::Tensor x, at::Tensor weight, at::Tensor bias, at::Tensor tail) {
  const int64_t B = x.size(0), L = x.size(1), E = x.size(2), K = weight.size(0);
  TORCH_CHECK(E % LANES == 0, "conv: E is ", E, ", not a multiple of ", LANES);
  at::Tensor out = at::empty_like(x);
  const float *px = data(x), *pw = data(weight), *pb = data(bias), *pt = data(tail);
  const bool has_tail = tail.numel() > 0;
  float* po = grad(out);
  at::parallel_for(0, B, 1, [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; ++b)
      for (int64_t t = 0; t < L; ++t)
        for (int64_t e = 0; e < E; e += LANES) {
          Vec v = load(pb + e);
          for (int64_t k = 0; k < K; ++k) {
            const int64_t source = t - (K - 1) + k;
            if (source >= 0)
              v += load(pw + k * E + e) * load(px + (b * L + source) * E + e);
            else if (has_tail)
              v += load(pw + k * E + e) * load(pt + (b * (K - 1) + K - 1 + source) * E + e);
          }
          store(po + (b * L + t) * E + e, silu(v));
        }
  });
  return out;
}

// Gradients with respect to x, weight, bias, for a zero tail.
std::vector<at::Tensor> conv_backward(at::Tensor dout, at::Tensor x, at::Tensor weight, at::Tensor bias) {
  const int64_t B = x.size(0), L = x.size(1), E = x.size(2), K = weight.size(0);
  at::Tensor gx = at::zeros_like(x), gw = at::zeros_like(weight), gb = at::zeros_like(bias);
  const float *pdo = data(dout), *px = data(x), *pw = data(weight), *pb = data(bias);
  float *qx = grad(gx), *qw = grad(gw), *qb = grad(gb);
  std::mutex shared;
  at::parallel_for(0, B, 1, [&](int64_t from, int64_t to) {
    std::vector<float> dw(K * E, 0), db(E, 0);
    for (int64_t b = from; b < to; ++b)
      for (int64_t t = 0; t < L; ++t)
        for (int64_t e = 0; e < E; e += LANES) {
          const int64_t first = std::max<int64_t>(0, K - 1 - t);
          Vec v = load(pb + e);
          for (int64_t k = first; k < K; ++k)
            v += load(pw + k * E + e) * load(px + (b * L + t - (K - 1) + k) * E + e);
          const Vec g = load(pdo + (b * L + t) * E + e) * dsilu(v);
          store(&db[e], load(&db[e]) + g);
          for (int64_t k = first; k < K; ++k) {
            const int64_t i = (b * L + t - (K - 1) + k) * E + e;
            store(&dw[k * E + e], load(&dw[k * E + e]) + g * load(px + i));
            store(qx + i, load(qx + i) + g * load(pw + k * E + e));
          }
        }
    const std::lock_guard<std::mutex> lock(shared);
    for (int64_t i = 0; i < K * E; ++i) qw[i] += dw[i];
    for (int64_t i = 0; i < E; ++i) qb[i] += db[i];
  });
  return {gx, gw, gb};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("scan_forward", &scan_forward);
  m.def("scan_backward", &scan_backward);
  m.def("conv_forward", &conv_forward);
  m.def("conv_backward", &conv_backward);
}
