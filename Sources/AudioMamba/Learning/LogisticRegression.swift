import Glibc

/// A linear classifier of two classes that count the same, however many vectors of each there are: logistic regression with an L2 penalty.
///
/// It minimises, over weight w and bias b, the mean of both classes' mean of log(1 + exp(∓(w·x + b))) plus penalty / 2 · ‖w‖², by L-BFGS
/// (Nocedal and Wright, "Numerical Optimization", algorithms 7.4 and 7.5) with backtracking steps.
package struct LogisticRegression {
    /// (D).
    package private(set) var weight: [Double]
    package private(set) var bias: Double

    /// Corrections that L-BFGS keeps.
    private static let memory = 10
    /// Largest number of the gradient at which it ends.
    private static let tolerance = 1e-5
    private static let longest = 200

    /// - Parameters:
    ///   - positives: (n, D), at least one.
    ///   - negatives: (m, D), at least one.
    ///   - width: D.
    package init(positives: [Float], negatives: [Float], width: Int, penalty: Double) {
        precondition(!positives.isEmpty && !negatives.isEmpty && positives.count % width == 0 && negatives.count % width == 0)
        /// The objective, and its gradient (D + 1).
        func objective(_ x: [Double]) -> (value: Double, gradient: [Double]) {
            var value = 0.0
            var gradient = [Double](repeating: 0, count: width + 1)
            for d in 0..<width {
                value += penalty / 2 * x[d] * x[d]
                gradient[d] = penalty * x[d]
            }
            for (vectors, sign) in [(positives, 1.0), (negatives, -1.0)] {
                let share = 0.5 / Double(vectors.count / width)
                for row in stride(from: 0, to: vectors.count, by: width) {
                    var logit = x[width]
                    for d in 0..<width { logit += x[d] * Double(vectors[row + d]) }
                    let margin = sign * logit
                    value += share * (margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin)
                    let slope = -sign * share / (1 + exp(margin))
                    for d in 0..<width { gradient[d] += slope * Double(vectors[row + d]) }
                    gradient[width] += slope
                }
            }
            return (value, gradient)
        }
        var x = [Double](repeating: 0, count: width + 1)
        var (value, gradient) = objective(x)
        var corrections: [(step: [Double], change: [Double], curvature: Double)] = []
        for _ in 0..<Self.longest where gradient.contains(where: { abs($0) > Self.tolerance }) {
            let direction = Self.direction(gradient, corrections)
            let slope = dot(direction, gradient)
            var length = 1.0
            var (next, at) = (x, (value: Double.infinity, gradient: gradient))
            while length > 1e-10 {
                next = zip(x, direction).map { $0 + length * $1 }
                at = objective(next)
                if at.value <= value + 1e-4 * length * slope { break }
                length /= 2
            }
            guard at.value < value else { break }
            let step = zip(next, x).map { $0 - $1 }, change = zip(at.gradient, gradient).map { $0 - $1 }
            let curvature = dot(step, change)
            if curvature > 1e-12 { corrections = corrections.suffix(Self.memory - 1) + [(step, change, curvature)] }
            (x, value, gradient) = (next, at.value, at.gradient)
        }
        bias = x.removeLast()
        weight = x
    }

    /// Where to go: minus the gradient, times what the corrections say of the inverse Hessian.
    private static func direction(_ gradient: [Double], _ corrections: [(step: [Double], change: [Double], curvature: Double)]) -> [Double] {
        var q = gradient
        var shares: [Double] = []
        for (step, change, curvature) in corrections.reversed() {
            let share = dot(step, q) / curvature
            shares.append(share)
            for d in q.indices { q[d] -= share * change[d] }
        }
        if let (_, change, curvature) = corrections.last {
            let scale = curvature / dot(change, change)
            for d in q.indices { q[d] *= scale }
        }
        for ((step, change, curvature), share) in zip(corrections, shares.reversed()) {
            let other = dot(change, q) / curvature
            for d in q.indices { q[d] += (share - other) * step[d] }
        }
        return q.map { -$0 }
    }
}

private func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
