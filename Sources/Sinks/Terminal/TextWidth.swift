/// How many terminal cells text takes, and text cut or padded to a number of cells.
///
/// After wcwidth(3) of common terminals: East Asian wide and fullwidth characters and emoji take two, combining marks
/// and control characters none. The ranges are those of Unicode's EastAsianWidth.txt with W or F, rounded to blocks.
enum TextWidth {
    static func of(_ text: String) -> Int {
        text.reduce(0) { $0 + of($1) }
    }

    static func of(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        if first.isASCII { return first.value >= 0x20 && first.value != 0x7F ? 1 : 0 }
        // An emoji sequence is drawn as one wide glyph.
        if character.unicodeScalars.dropFirst().contains(where: { $0.value == 0xFE0F }) { return 2 }
        return of(first)
    }

    private static func of(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .control, .format: return 0
        default: break
        }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
            0x1F900...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    /// At most `width` cells, the last of them an ellipsis where something was cut. Control characters are written out.
    static func cut(_ text: String, to width: Int, ellipsis: Character) -> String {
        let clean = text.printable
        guard of(clean) > width else { return clean }
        guard width > 0 else { return "" }
        var result = ""
        var used = 0
        for character in clean {
            guard used + of(character) <= width - 1 else { break }
            result.append(character)
            used += of(character)
        }
        result.append(ellipsis)
        return result
    }

    /// Exactly `width` cells.
    static func fit(_ text: String, to width: Int, ellipsis: Character) -> String {
        let cut = cut(text, to: width, ellipsis: ellipsis)
        return cut + String(repeating: " ", count: max(0, width - of(cut)))
    }
}
