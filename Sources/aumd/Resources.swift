import Glibc

/// Finds what ships with the program: the default model and the demo scene.
///
/// An installed program has them in `../share/aumd` beside its `bin`, a built one in the resource folder that the
/// package manager puts beside the executable.
enum Resources {
    static func path(_ name: String) -> String? {
        guard let directory = executableDirectory else { return nil }
        let candidates = [
            "\(directory)/../share/aumd/\(name)", "\(directory)/aumd_aumd.resources/\(name)",
            "/usr/local/share/aumd/\(name)", "/usr/share/aumd/\(name)",
        ]
        return candidates.first { access($0, R_OK) == 0 }
    }

    private static var executableDirectory: String? {
        guard let resolved = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(resolved) }
        let path = String(cString: resolved)
        return path.lastIndex(of: "/").map { String(path[..<$0]) }
    }
}
