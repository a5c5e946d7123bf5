/** A value of a policy text, with where it stands. */
export type Node =
  | { readonly type: 'scalar', readonly value: string | number | boolean | null, readonly offset: number }
  | { readonly type: 'list', readonly nodes: readonly Node[], readonly offset: number }
  | { readonly type: 'object', readonly items: readonly Item[], readonly offset: number }

/** One `key "label" { … }` or `key = value`. Items keep their order, and a key may come twice. */
export interface Item {
  readonly key: string
  readonly labels: readonly string[]
  readonly value: Node
  readonly offset: number
}

/** A text that is not HCL or JSON; `message` is public and names the line. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
}

/** Deepest nesting of lists and objects. Policies need four. */
const depthMax = 16

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

/**
 * Reads the HCL 1 that policies are written in, and JSON in the same model: blocks with labels,
 * comments, heredocs, lists and maps with commas at their ends (contract 4.1). Takes time in
 * proportion to the text's length, whatever the text.
 *
 * @throws SyntaxProblem
 */
export function parseHcl (text: string): readonly Item[] {
  let at = text.startsWith('\uFEFF') ? 1 : 0

  function fail (problem: string, offset = at): never {
    throw new SyntaxProblem(`line ${lineAt(text, offset)}: ${problem}`)
  }

  function skipTo (end: number): void {
    at = end === -1 ? text.length : end
  }

  /** Skips white space and comments; answers the character that follows, '' at the end. */
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

  function readList (depth: number): Node {
    const offset = at++
    const nodes: Node[] = []
    while (peek() !== ']') {
      nodes.push(readValue(depth))
      const next = peek()
      if (next === ',') at++
      else if (next !== ']') fail('expected a comma or the end of the list')
    }
    at++
    return { type: 'list', nodes, offset }
  }

  function readObject (depth: number): Node {
    const offset = at++
    const items = readItems('}', depth)
    at++
    return { type: 'object', items, offset }
  }

  function readValue (depth: number): Node {
    if (depth > depthMax) fail('nested too deeply')
    const char = peek()
    const offset = at
    if (char === '"') return { type: 'scalar', value: readQuoted(), offset }
    if (char === '<') return { type: 'scalar', value: readHeredoc(), offset }
    if (char === '[') return readList(depth + 1)
    if (char === '{') return readObject(depth + 1)
    const digits = match(number)
    if (digits !== null) return { type: 'scalar', value: Number(digits[0]), offset }
    const word = match(identifier)?.[0]
    if (word === 'true' || word === 'false') return { type: 'scalar', value: word === 'true', offset }
    if (word === 'null') return { type: 'scalar', value: null, offset }
    return fail('expected a value', offset)
  }

  function readKeys (): string[] {
    const keys: string[] = []
    for (;;) {
      const key = peek() === '"' ? readQuoted() : match(identifier)?.[0]
      if (key === undefined) return keys
      keys.push(key)
    }
  }

  function readItems (end: '}' | '', depth: number): Item[] {
    const items: Item[] = []
    for (;;) {
      const next = peek()
      if (next === end) return items
      if (next === '') fail('a brace is not closed')
      if (next === ',' && items.length > 0) {
        at++
        continue
      }
      const offset = at
      const [key, ...labels] = readKeys()
      if (key === undefined) fail('expected a key')
      const sign = peek()
      if (sign === '=' || sign === ':') {
        if (labels.length > 0) fail('expected a block after several keys')
        at++
      } else if (sign !== '{') {
        fail('expected "=" or a block')
      }
      items.push({ key, labels, value: readValue(depth), offset })
    }
  }

  if (peek() !== '{') return readItems('', 1)
  const root = readObject(1)
  if (peek() !== '') fail('nothing may follow the closing brace')
  return root.type === 'object' ? root.items : []
}
