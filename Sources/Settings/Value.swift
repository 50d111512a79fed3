import Foundation

/// A value as it was written, before its key says what it has to be.
struct Value {
    /// Its text, which YAML's types have not touched: `no` is a label as well as a "false".
    var text: String
    /// In quotes, and so text whatever it looks like.
    var isQuoted: Bool

    /// What is wrong with a value.
    enum Problem: Error {
        case type(expected: String)
        case range(allowed: String)
    }

    typealias Reading<T> = Result<T, Problem>

    func bool() -> Reading<Bool> {
        switch isQuoted ? "" : text.lowercased() {
        case "true", "yes", "on": .success(true)
        case "false", "no", "off": .success(false)
        default: .failure(.type(expected: "true or false"))
        }
    }

    func integer(_ range: ClosedRange<Int>, unit: String = "") -> Reading<Int> {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
        // A leading zero is refused: YAML 1.1 reads an octal number there, YAML 1.2 a decimal one.
        guard !isQuoted, !digits.isEmpty, digits.allSatisfy(Self.isDigit), text.utf8.count - digits.count <= 1,
            digits.count == 1 || digits.first != UInt8(ascii: "0")
        else { return .failure(.type(expected: "a whole number")) }
        guard let value = Int(text), range.contains(value) else {
            return .failure(.range(allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)\(unit)"))
        }
        return .success(value)
    }

    func number(_ range: ClosedRange<Double>, unit: String = "") -> Reading<Double> {
        let allowed = "a number from \(Self.short(range.lowerBound)) to \(Self.short(range.upperBound))\(unit)"
        let bare = text.lowercased().drop { "+-.".contains($0) }
        if !isQuoted, ["nan", "inf", "infinity"].contains(bare) { return .failure(.range(allowed: allowed)) }
        guard !isQuoted, isDecimal, let value = Double(text) else { return .failure(.type(expected: "a number")) }
        guard range.contains(value) else { return .failure(.range(allowed: allowed)) }
        return .success(value)
    }

    /// Threshold of a score: above 0, at most 1.
    func threshold() -> Reading<Float> {
        number(0...1).flatMap { value in
            // Not 0 as a Float either.
            Float(value) > 0 ? .success(Float(value)) : .failure(.range(allowed: "a number above 0, at most 1"))
        }
    }

    /// - Parameter limit: bytes at most.
    func string(limit: Int) -> Reading<String> {
        guard !text.isEmpty, text.utf8.count <= limit, text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return .failure(.range(allowed: "1 to \(limit) bytes of text without control characters")) }
        return .success(text)
    }

    func channel() -> Reading<Settings.Channel> {
        if text.lowercased() == "all" { return .success(.all) }
        return integer(0...1023).map { .one($0) }.mapError {
            if case .type = $0 { .type(expected: "all, or a channel's number (the first is 0)") } else { $0 }
        }
    }

    /// Permission bits, octal, with or without quotes.
    func mode() -> Reading<Int> {
        let digits = text.utf8.starts(with: "0o".utf8) ? text.dropFirst(2) : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy(Self.isDigit) else {
            return .failure(.type(expected: "octal permission bits, such as \"0660\""))
        }
        guard let value = Int(digits, radix: 8), value <= 0o777 else {
            return .failure(.range(allowed: "octal permission bits from 0000 to 0777"))
        }
        return .success(value)
    }

    /// mqtt://HOST[:PORT], or mqtts://… for TLS; an IPv6 address is in [ ].
    func broker() -> Reading<Settings.Broker> {
        guard let url = URLComponents(string: text), let standard = ["mqtt": 1883, "mqtts": 8883][url.scheme],
            let host = url.host?.filter({ $0 != "[" && $0 != "]" }), !host.isEmpty, (1...65_535).contains(url.port ?? standard),
            url.user == nil, url.password == nil, ["", "/"].contains(url.path), url.query == nil, url.fragment == nil
        else {
            return .failure(
                .type(expected: "mqtt://HOST or mqtt://HOST:PORT, or mqtts:// for TLS; user and password_file have keys of their own"))
        }
        return .success(Settings.Broker(host: host, port: url.port ?? standard, isEncrypted: url.scheme == "mqtts"))
    }

    /// Times of the week.
    func quietHours() -> Reading<QuietHours> {
        QuietHours(text).map { .success($0) }
            ?? .failure(.type(expected: "times such as 22:00-07:00, or Mon-Fri 22:00-07:00, Sat-Sun 23:30-09:00"))
    }

    /// What the topics of messages may begin with (MQTT 3.1.1, section 4.7).
    func topic() -> Reading<String> {
        string(limit: 1023).flatMap { text in
            text.contains { "#+".contains($0) } || text.hasPrefix("$") || text.hasPrefix("/") || text.hasSuffix("/")
                ? .failure(.range(allowed: "a topic without + and #, without / at its ends and $ before it")) : .success(text)
        }
    }

    /// `1`, `-0.5`, `.5` or `1e-3`, and nothing else that strtod(3) takes.
    private var isDecimal: Bool {
        text.contains { $0.isASCII && $0.isNumber }
            && text.utf8.allSatisfy { Self.isDigit($0) || "+-.eE".utf8.contains($0) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// A number without a decimal point where it needs none.
    static func short(_ value: Double) -> String {
        value.rounded() == value && abs(value) < 1e15 ? String(Int(value)) : String(value)
    }
}
