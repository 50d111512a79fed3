import Glibc

/// strerror(3)'s text, which belongs to the thread since glibc 2.32.
package func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }
