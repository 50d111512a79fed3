import Foundation
import TestSupport
import Testing

/// A microphone does not wait for window passes.
extension ListenTests {
    /// What is told of the PCM `mic` while window passes stand still for so many of the seconds.
    private func hear(_ seconds: Double, held: Double, _ options: String) throws -> [Line] {
        let hold = folder.path + "/hold"
        let library = try folder.compileLibrary("Tests/aumdTests/Preloaded/hold_window_passes.c", as: "hold.so")
        try Sound.raw(Sound.bursts(seconds: 8)).write(to: folder.url.appending(path: "bursts.raw"))
        try folder.makeScriptedDevice("infile \"\(folder.path)/bursts.raw\"")
        let heard = try Program.shell(
            """
            touch \(hold); (sleep \(held); rm \(hold)) &
            timeout -s INT \(seconds) env LD_PRELOAD=\(library) "$AUMD" listen --device mic --scores --format ndjson \(options)
            wait
            """, environment: folder.alsa.merging(["HOLD_WINDOW_PASSES": hold]) { $1 })
        return try Line.all(heard.output)
    }

    /// Times of the scores, in ms.
    private func times(_ lines: [Line], _ status: String) -> [Double] {
        lines.filter { $0["type"] == "scores" && $0["status"] == status }.compactMap { $0.time("time") }
    }

    @Test("A late window pass is counted, no provisional score waits for it, and every column is confirmed in the end")
    func latePass() throws {
        let lines = try hear(6, held: 4.5, "--config \(config) --chunk 8 --lookahead 4")
        let last = try #require(lines.last)
        #expect(last["state"] == "stopping" && last.number("late_windows")! > 0)
        #expect(last.number("unconfirmed_columns") == 0)
        let provisional = times(lines, "provisional"), confirmed = times(lines, "confirmed")
        // The first pass would have begun after 1.92 s.
        let before = lines.prefix { $0["status"] != "confirmed" }
        #expect(times(Array(before), "provisional").count > 45)
        #expect(confirmed.count > 30 && zip(confirmed, confirmed.dropFirst()).allSatisfy { $1 - $0 == 160 })
        #expect(confirmed.first == provisional.first && confirmed.last! >= provisional.last! - 80)
        let opened = lines.filter { $0["phase"] == "open" }.compactMap { $0["id"] }
        let ended = lines.filter { $0["phase"] == "close" || $0["phase"] == "retract" }.compactMap { $0["id"] }
        #expect(opened.count > 5 && Set(opened) == Set(ended) && ended.count == opened.count)
    }

    @Test("Columns that no pass has confirmed when their place is needed are counted; what was open ends, and listening goes on")
    func backlogGivenUp() throws {
        // Columns of 10 ms: the 256 that are kept would be 41 s otherwise.
        try BundledModel.write(layers: 1, hop: 10, to: folder)
        let lines = try hear(6, held: 4, "--config \(config) --model \(folder.path) --chunk 1 --lookahead 1")
        let last = try #require(lines.last)
        let unconfirmed = try #require(last.number("unconfirmed_columns"))
        #expect(last["state"] == "stopping" && unconfirmed >= 256)
        let provisional = times(lines, "provisional"), confirmed = times(lines, "confirmed")
        #expect(provisional.count > 1000 && zip(provisional, provisional.dropFirst()).allSatisfy { $1 - $0 <= 10 })
        // Grids of columns are half a column apart.
        #expect(abs(confirmed.first! - provisional.first! - 10 * unconfirmed) <= 10)
        #expect(confirmed.last! >= provisional.last! - 10)
        let opened = lines.filter { $0["phase"] == "open" }.compactMap { $0["id"] }
        let ended = lines.filter { $0["phase"] == "close" || $0["phase"] == "retract" }.compactMap { $0["id"] }
        #expect(opened.count > 5 && Set(opened) == Set(ended) && ended.count == opened.count)
    }
}
