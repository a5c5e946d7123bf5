import { createScanner, type Scanner } from './hcl-scanner.ts'

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

/** Deepest nesting of lists and objects. Policies need four. */
const depthMax = 16

/**
 * Reads the HCL 1 that policies are written in, and JSON in the same model: blocks with labels,
 * comments, heredocs, lists and maps with commas at their ends (contract 4.1). Takes time in
 * proportion to the text's length, whatever the text.
 *
 * @throws SyntaxProblem
 */
export function parseHcl (text: string): readonly Item[] {
  const scanner = createScanner(text)
  if (scanner.peek() !== '{') return readItems(scanner, '', 1)
  scanner.step()
  const items = readItems(scanner, '}', 1)
  scanner.step()
  if (scanner.peek() !== '') scanner.fail('nothing may follow the closing brace')
  return items
}

/** Items up to a closing brace, which stays, or to the end of the text. */
function readItems (scanner: Scanner, end: '}' | '', depth: number): Item[] {
  const items: Item[] = []
  for (;;) {
    const next = scanner.peek()
    if (next === end) return items
    if (next === '') scanner.fail('a brace is not closed')
    if (next === ',' && items.length > 0) {
      scanner.step()
      continue
    }
    const offset = scanner.offset()
    const [key, ...labels] = readKeys(scanner)
    if (key === undefined) scanner.fail('expected a key')
    const sign = scanner.peek()
    if (sign === '=' || sign === ':') {
      if (labels.length > 0) scanner.fail('expected a block after several keys')
      scanner.step()
    } else if (sign !== '{') {
      scanner.fail('expected "=" or a block')
    }
    items.push({ key, labels, value: readValue(scanner, depth), offset })
  }
}

function readKeys (scanner: Scanner): string[] {
  const keys: string[] = []
  for (;;) {
    const key = scanner.peek() === '"' ? scanner.readQuoted() : scanner.readIdentifier()
    if (key === null) return keys
    keys.push(key)
  }
}

function readValue (scanner: Scanner, depth: number): Node {
  if (depth > depthMax) scanner.fail('nested too deeply')
  const char = scanner.peek()
  const offset = scanner.offset()
  if (char === '"') return { type: 'scalar', value: scanner.readQuoted(), offset }
  if (char === '<') return { type: 'scalar', value: scanner.readHeredoc(), offset }
  if (char === '[') return readList(scanner, depth + 1)
  if (char === '{') {
    scanner.step()
    const items = readItems(scanner, '}', depth + 1)
    scanner.step()
    return { type: 'object', items, offset }
  }
  const value = scanner.readNumber()
  if (value !== null) return { type: 'scalar', value, offset }
  const word = scanner.readIdentifier()
  if (word === 'true' || word === 'false') return { type: 'scalar', value: word === 'true', offset }
  if (word === 'null') return { type: 'scalar', value: null, offset }
  return scanner.fail('expected a value', offset)
}

function readList (scanner: Scanner, depth: number): Node {
  const offset = scanner.offset()
  const nodes: Node[] = []
  scanner.step()
  while (scanner.peek() !== ']') {
    nodes.push(readValue(scanner, depth))
    const next = scanner.peek()
    if (next === ',') scanner.step()
    else if (next !== ']') scanner.fail('expected a comma or the end of the list')
  }
  scanner.step()
  return { type: 'list', nodes, offset }
}
