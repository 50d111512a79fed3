import Glibc

/// What a pass must at least do: the base of "share of the limit" in `aumd bench`.
public struct Cost: Sendable, Equatable {
    /// fp32 multiply-adds of matrices, convolution and scan; a lone multiplication counts as one.
    public var multiplyAdds = 0
    /// int8 multiply-adds of matrices with int8 weights.
    public var int8MultiplyAdds = 0
    /// exp of the scan's decays, softplus and SiLU.
    public var exponentials = 0
    /// Bytes of the blocks' weights, read once.
    public var weightBytes = 0

    /// Of so many operations and bytes.
    public init(multiplyAdds: Int = 0, int8MultiplyAdds: Int = 0, exponentials: Int = 0, weightBytes: Int = 0) {
        self.multiplyAdds = multiplyAdds
        self.int8MultiplyAdds = int8MultiplyAdds
        self.exponentials = exponentials
        self.weightBytes = weightBytes
    }

    /// Both, one after the other.
    public static func + (a: Cost, b: Cost) -> Cost {
        Cost(
            multiplyAdds: a.multiplyAdds + b.multiplyAdds, int8MultiplyAdds: a.int8MultiplyAdds + b.int8MultiplyAdds,
            exponentials: a.exponentials + b.exponentials, weightBytes: a.weightBytes + b.weightBytes)
    }

    /// `count` times the same.
    public static func * (count: Int, cost: Cost) -> Cost {
        Cost(
            multiplyAdds: count * cost.multiplyAdds, int8MultiplyAdds: count * cost.int8MultiplyAdds,
            exponentials: count * cost.exponentials, weightBytes: count * cost.weightBytes)
    }
}

extension Model {
    /// What the blocks must do for `tokens` tokens, without embedding and head.
    ///
    /// - Parameter bidirectional: with the backward direction, where the model has one.
    public func cost(tokens: Int, bidirectional: Bool) -> Cost {
        let c = configuration
        let (D, E, N, R, K) = (c.modelWidth, c.innerWidth, c.stateCount, c.timeStepRank, c.convolutionWidth)
        let directions = bidirectional && c.isBidirectional ? 2 : 1
        let selections = c.variant == .biBi ? directions : 1
        let large = 3 * D * E + selections * (R + 2 * N) * E
        let scans = directions * E * N
        let isInteger = storage == .int8
        return Cost(
            multiplyAdds: tokens * c.layerCount * ((isInteger ? 0 : large) + selections * (R + K) * E + 4 * scans),
            int8MultiplyAdds: isInteger ? tokens * c.layerCount * large : 0,
            exponentials: tokens * c.layerCount * (scans + (1 + 2 * selections) * E),
            weightBytes: c.layerCount * (large * storage.size + selections * (R + K) * E * 4 + directions * E * N * 4))
    }
}

extension Model {
    /// What the blocks must do for a window pass of the model's own chunk and lookahead, or of its clip. On two grids the
    /// second's first column is known from the pass before, where that looked ahead.
    public var windowCost: Cost {
        let c = configuration
        let columns = c.clipColumns ?? c.chunk + c.lookahead
        let first = cost(tokens: columns * c.bands, bidirectional: true)
        guard c.patchGrids > 1 else { return first }
        return first + cost(tokens: (c.lookahead > 0 ? columns - 1 : columns) * c.bands, bidirectional: true)
    }

    /// What the blocks must do for `columns` columns of a stream: a recurrent step each, and a window pass for each chunk of
    /// them; either only where the model has it.
    public func cost(streamColumns columns: Int) -> Cost {
        let c = configuration
        let recurrent = c.recurrentObstacle == nil ? cost(tokens: c.bands, bidirectional: false) : Cost()
        let pass = c.isBidirectional || c.recurrentObstacle != nil ? windowCost : Cost()
        return c.patchGrids * columns * recurrent + columns / min(c.chunk, c.clipColumns ?? .max) * pass
    }
}

extension Model {
    /// Threads worth their cost for a bidirectional pass over `tokens` tokens: two where there are as many processors and the
    /// pass takes one core more than some 40 ms: 2 · 10⁹ multiply-adds in vectors of sixteen, half of that in vectors of eight.
    /// A shorter one is over before anybody waits for it, and helpers of a pass keep a second core awake.
    public func threads(tokens: Int) -> Int {
        let cost = cost(tokens: tokens, bidirectional: true)
        let isLong = cost.multiplyAdds + cost.int8MultiplyAdds > 125_000_000 * kernels.lanes
        return isLong ? min(2, sysconf(Int32(_SC_NPROCESSORS_ONLN))) : 1
    }
}
