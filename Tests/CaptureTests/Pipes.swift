import Glibc

func makePipe() -> (output: Int32, input: Int32) {
    var ends: (Int32, Int32) = (0, 0)
    withUnsafeMutableBytes(of: &ends) { _ = pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self)) }
    return ends
}

/// Writes into a pipe.
func put(_ bytes: [UInt8], _ input: Int32) { _ = Glibc.write(input, bytes, bytes.count) }
