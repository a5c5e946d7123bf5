import type { Operation, Verb } from '../core/backend.ts'

/** Which operation a path and verb mean, and what the path's variable parts hold. */
export interface Match {
  /** null: the path is known, the verb is not. */
  readonly operation: Operation | null
  readonly captured: ReadonlyMap<string, string>
}

/** The operations of a backend, found by path (contract 0.8). */
export interface OperationTable {
  /** null: no operation has such a path. `rest` is relative to the mount, without slashes at its ends. */
  match (rest: string, verb: Verb): Match | null
  readonly operations: readonly Operation[]
}

interface Pattern {
  readonly segments: readonly string[]
  /** Position of the segment that takes one or more segments; -1 without one. */
  readonly wide: number
  readonly byVerb: Map<Verb, Operation>
}

const nothingCaptured: ReadonlyMap<string, string> = new Map()

/**
 * Literal paths are one look-up. The others are tried in order: a literal segment before `:name`
 * before `*rest`, from the left.
 */
export function createOperationTable (operations: readonly Operation[]): OperationTable {
  const literal = new Map<string, Pattern>()
  const variable: Pattern[] = []
  for (const operation of operations) {
    const segments = operation.path === '' ? [] : operation.path.split('/')
    const isLiteral = segments.every((segment) => !isVariable(segment))
    const known = isLiteral
      ? literal.get(operation.path)
      : variable.find((pattern) => pattern.segments.join('/') === operation.path)
    const pattern = known ?? { segments, wide: segments.findIndex((segment) => segment.startsWith('*')), byVerb: new Map() }
    if (pattern.byVerb.has(operation.verb)) throw new Error(`two operations for ${operation.verb} ${operation.path}`)
    pattern.byVerb.set(operation.verb, operation)
    if (known !== undefined) continue
    if (isLiteral) literal.set(operation.path, pattern)
    else variable.push(pattern)
  }
  variable.sort(bySpecificity)

  return {
    operations,
    match (rest, verb) {
      const exact = literal.get(rest)
      const operation = exact?.byVerb.get(verb)
      if (operation !== undefined) return { operation, captured: nothingCaptured }
      let known = exact !== undefined && (verb !== 'list')
      const path = rest === '' ? [] : rest.split('/')
      for (const pattern of variable) {
        const captured = capture(pattern, path)
        if (captured === null) continue
        const found = pattern.byVerb.get(verb)
        if (found !== undefined) return { operation: found, captured }
        known ||= verb !== 'list'
      }
      return known ? { operation: null, captured: nothingCaptured } : null
    }
  }
}

function isVariable (segment: string): boolean {
  return segment.startsWith(':') || segment.startsWith('*')
}

function bySpecificity (a: Pattern, b: Pattern): number {
  const rank = (segment: string | undefined) =>
    segment === undefined ? 3 : segment.startsWith('*') ? 2 : segment.startsWith(':') ? 1 : 0
  for (let i = 0; i < Math.max(a.segments.length, b.segments.length); i++) {
    const difference = rank(a.segments[i]) - rank(b.segments[i])
    if (difference !== 0) return difference
  }
  return 0
}

function capture ({ segments, wide }: Pattern, path: readonly string[]): Map<string, string> | null {
  const extra = path.length - segments.length
  if (wide < 0 ? extra !== 0 : extra < 0) return null
  const placeOf = (i: number) => wide >= 0 && i > wide ? i + extra : i
  if (segments.some((segment, i) => !isVariable(segment) && segment !== path[placeOf(i)])) return null
  const captured = new Map<string, string>()
  for (const [i, segment] of segments.entries()) {
    const at = placeOf(i)
    const value = i === wide ? path.slice(at, at + extra + 1).join('/') : path[at] ?? ''
    if (isVariable(segment)) captured.set(segment.slice(1), value)
  }
  return captured
}
