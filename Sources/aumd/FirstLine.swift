import Glibc

/// The first line of a file without its end, empty where there is none; nil where the file cannot be read (errno says why).
func firstLine(of path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    guard getline(&line, &capacity, file) > 0, let line else { return "" }
    return String(String(cString: line).prefix { !$0.isNewline })
}
