/** A text that is not HCL or JSON; `message` is public and names the line. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
}

const identifier = /[\p{L}_][\p{L}\p{N}_.-]*/uy
const number = /[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\p{L}\p{N}_.])/uy
const heredocStart = /<<(-?)([\p{L}\p{N}_.-]+)\r?\n/uy
const escapes: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', '"': '"', '/': '/'
}
const escapeDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

/** The line, from 1, in which an offset of a text stands. */
export function lineAt (text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

/** Reads the pieces of a policy text one after the other. Every call but `fail` moves on; none goes back. */
export interface Scanner {
  /** Skips white space and comments; answers the character that follows, '' at the end. */
  peek (): string
  /** Where the scanner stands. */
  offset (): number
  /** Steps over one character. */
  step (): void
  /** Steps over an identifier; null where there is none. */
  readIdentifier (): string | null
  /** Steps over a number that ends here; null where there is none. */
  readNumber (): number | null
  /** Reads a text in quotes, of which the first is next. */
  readQuoted (): string
  /** Reads a heredoc, whose `<` is next. */
  readHeredoc (): string
  /** Throws SyntaxProblem for the line of an offset, or of where the scanner stands. */
  fail (problem: string, offset?: number): never
}

/** A scanner of HCL 1 and JSON. Takes time in proportion to what it reads. */
export function createScanner (text: string): Scanner {
  let at = text.startsWith('\uFEFF') ? 1 : 0

  function fail (problem: string, offset = at): never {
    throw new SyntaxProblem(`line ${lineAt(text, offset)}: ${problem}`)
  }

  function skipTo (end: number): void {
    at = end === -1 ? text.length : end
  }

  function peek (): string {
    for (;;) {
      const char = text[at]
      if (char === undefined) return ''
      if (char === ' ' || char === '\t' || char === '\n' || char === '\r') {
        at++
      } else if (char === '#' || (char === '/' && text[at + 1] === '/')) {
        skipTo(text.indexOf('\n', at))
      } else if (char === '/' && text[at + 1] === '*') {
        const end = text.indexOf('*/', at + 2)
        if (end === -1) fail('comment is not closed')
        at = end + 2
      } else {
        return char
      }
    }
  }

  function match (pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found !== null) at = pattern.lastIndex
    return found
  }

  function readEscape (): string {
    const char = text[at++] ?? fail('text is not closed')
    const plain = Object.hasOwn(escapes, char) ? escapes[char] : undefined
    if (plain !== undefined) return plain
    const digits = Object.hasOwn(escapeDigits, char) ? escapeDigits[char] ?? 0 : fail('unknown escape sequence')
    const hex = text.slice(at, at + digits)
    const code = /^[0-9a-fA-F]+$/.test(hex) && hex.length === digits ? Number.parseInt(hex, 16) : 0x110000
    if (code > 0x10FFFF) fail('escape sequence is no character')
    at += digits
    return String.fromCodePoint(code)
  }

  function readQuoted (): string {
    const start = at++
    let value = ''
    let from = at
    for (;;) {
      const char = text[at]
      if (char === undefined || char === '\n') fail('text is not closed', start)
      if (char === '"') break
      if (char === '\\') {
        value += text.slice(from, at++)
        value += readEscape()
        from = at
      } else {
        at++
      }
    }
    value += text.slice(from, at++)
    return value
  }

  function readHeredoc (): string {
    const start = at
    const [, dash, word] = match(heredocStart) ?? fail('heredoc has no name')
    const lines: string[] = []
    for (;;) {
      if (at >= text.length) fail('heredoc is not closed', start)
      const found = text.indexOf('\n', at)
      const end = found === -1 ? text.length : found
      const line = text.slice(at, end)
      at = end + 1
      if (line.trim() === word) {
        at = end
        break
      }
      lines.push(dash === '-' ? line.trimStart() : line)
    }
    return lines.length === 0 ? '' : lines.join('\n') + '\n'
  }

  return {
    peek,
    offset: () => at,
    step () { at++ },
    readIdentifier: () => match(identifier)?.[0] ?? null,
    readNumber () {
      const digits = match(number)
      return digits === null ? null : Number(digits[0])
    },
    readQuoted,
    readHeredoc,
    fail
  }
}
