import Foundation
import TestSupport
import Testing

/// A microphone does not wait for window passes.
extension ListenTests {
    /// What is told of the PCM `mic` while window passes stand still for so many seconds from the first score on, and a second more.
    private func hear(held: Double, _ options: String) throws -> [Line] {
        let library = try folder.compileLibrary("Tests/aumdTests/Preloaded/hold_window_passes.c", as: "hold.so")
        try makeBursts()
        let heard = try Program.shell(
            """
            cd \(folder.path); touch hold
            env LD_PRELOAD=\(library) "$AUMD" listen --device mic --scores --format ndjson \(options) > out &
            until grep -q '"type":"scores"' out || ! kill -0 $!; do sleep 0.02; done
            sleep \(held); rm hold; sleep 1
            kill -INT $!; wait $!; cat out
            """, environment: folder.alsa.merging(["HOLD_WINDOW_PASSES": folder.path + "/hold"]) { $1 })
        return try Line.all(heard.output)
    }

    /// Times of the scores, in ms.
    private func times(_ lines: [Line], _ status: String) -> [Double] {
        lines.filter { $0["type"] == "scores" && $0["status"] == status }.compactMap { $0.time("time") }
    }

    private func expectEveryEventEnds(_ lines: [Line]) {
        let opened = lines.filter { $0["phase"] == "open" }.compactMap { $0["id"] }
        let ended = lines.filter { $0["phase"] == "close" || $0["phase"] == "retract" }.compactMap { $0["id"] }
        #expect(opened.count > 5 && Set(opened) == Set(ended) && ended.count == opened.count)
    }

    @Test("A late window pass is counted, no provisional score waits for it, and every column is confirmed in the end")
    func latePass() throws {
        let lines = try hear(held: 3.5, "--config \(config) --chunk 8 --lookahead 4")
        let last = try #require(lines.last)
        #expect(last["state"] == "stopping" && last.number("late_windows")! > 0)
        #expect(last.number("unconfirmed_columns") == 0)
        let provisional = times(lines, "provisional"), confirmed = times(lines, "confirmed")
        // The first pass begins after 1.92 s: twelve columns, of which each has two provisional scores.
        let before = lines.prefix { $0["status"] != "confirmed" }
        #expect(times(Array(before), "provisional").count > 2 * 14)
        #expect(abs(2 * confirmed.count - provisional.count) <= 2 && zip(confirmed, confirmed.dropFirst()).allSatisfy { $1 - $0 == 160 })
        #expect(confirmed.first == provisional.first && confirmed.last! >= provisional.last! - 80)
        expectEveryEventEnds(lines)
    }

    @Test("Columns that no pass has confirmed when their place is needed are counted; what was open ends, and listening goes on")
    func backlogGivenUp() throws {
        // Columns of 10 ms: the 256 that are kept would be 41 s otherwise.
        try BundledModel.write(layers: 1, hop: 10, to: folder)
        let lines = try hear(held: 3.5, "--config \(config) --model \(folder.path) --chunk 1 --lookahead 1")
        let last = try #require(lines.last)
        let unconfirmed = try #require(last.number("unconfirmed_columns"))
        #expect(last["state"] == "stopping" && unconfirmed >= 256)
        let provisional = times(lines, "provisional"), confirmed = times(lines, "confirmed")
        #expect(abs(Double(provisional.count) - 2 * (Double(confirmed.count) + unconfirmed)) <= 2)
        // Grids of columns are half a column apart.
        #expect(abs(confirmed.first! - provisional.first! - 10 * unconfirmed) <= 10)
        #expect(confirmed.last! >= provisional.last! - 10)
        expectEveryEventEnds(lines)
    }
}
