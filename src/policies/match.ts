import type { Pattern } from './rule.ts'

/** Something found by a path: the rule of one pattern. */
export interface Matched { readonly pattern: Pattern }

/** Finds the one rule that applies to a path. */
export interface Matcher<T extends Matched> {
  /** Steps 3 to 7 of contract 4.3; for `list` also those for a path without its last slash. */
  find (path: string, list: boolean): T | null
  /** The best rule with a wildcard for a path, null when none fits. */
  findWildcard (path: string): T | null
}

/**
 * A place in the tree of anchors: the text of the edges that lead here is what the patterns of
 * `rules` begin with, up to their first wildcard.
 */
interface Place<T> {
  edge: string
  readonly next: Map<number, Place<T>>
  /** Best first. */
  readonly rules: T[]
  /** The nearest place above that has rules. */
  above: Place<T> | null
}

/**
 * Builds the matcher of contract 4.3. Exact paths are one look-up. All others stand in a tree by
 * the text before their first wildcard: the order of 4.3 begins with "first wildcard further
 * right", so one walk down the path and back up again meets the candidates best first. It takes
 * time in proportion to the path's length, and not to the number of rules.
 */
export function createMatcher<T extends Matched> (rules: Iterable<T>): Matcher<T> {
  const exact = new Map<string, T>()
  const root = place<T>('')
  for (const rule of rules) {
    if (rule.pattern.kind === 'exact') exact.set(rule.pattern.text, rule)
    else placeFor(root, rule.pattern.anchor).rules.push(rule)
  }
  arrange(root)

  function findWildcard (path: string): T | null {
    for (let at = deepest(root, path); at !== null; at = at.above) {
      for (const rule of at.rules) {
        if (rule.pattern.kind === 'prefix' || fitsSegments(rule.pattern, path)) return rule
      }
    }
    return null
  }

  return {
    find (path, list) {
      const direct = exact.get(path)
      if (direct !== undefined) return direct
      const closed = list && path.endsWith('/') ? path.slice(0, -1) : path
      if (closed === path) return findWildcard(path)
      return exact.get(closed) ?? findWildcard(path) ?? findWildcard(closed)
    },
    findWildcard
  }
}

/** Steps b to e of contract 4.3: negative when `a` has the higher priority. Their anchors are equal. */
function byPriority ({ pattern: a }: Matched, { pattern: b }: Matched): number {
  if (a.open !== b.open) return a.open ? 1 : -1
  const wild = wildSegments(a) - wildSegments(b)
  if (wild !== 0) return wild
  if (a.text.length !== b.text.length) return b.text.length - a.text.length
  return a.text > b.text ? -1 : 1
}

function wildSegments ({ segments }: Pattern): number {
  return segments.filter((segment) => segment === '+').length
}

function fitsSegments ({ segments, open }: Pattern, path: string): boolean {
  const last = segments.length - 1
  let at = 0
  for (let n = 0; n < last; n++) {
    const segment = segments[n] ?? ''
    const end = path.indexOf('/', at)
    if (end === -1) return false
    if (segment !== '+' && (end - at !== segment.length || !path.startsWith(segment, at))) return false
    at = end + 1
  }
  const segment = segments[last] ?? ''
  if (open) return path.startsWith(segment, at)
  if (path.indexOf('/', at) !== -1) return false
  return segment === '+' || (path.length - at === segment.length && path.endsWith(segment))
}

function place<T> (edge: string): Place<T> {
  return { edge, next: new Map(), rules: [], above: null }
}

/** The deepest place with rules on the way that a path leads. */
function deepest<T> (root: Place<T>, path: string): Place<T> | null {
  let at = root
  let found = at.rules.length > 0 ? at : at.above
  let length = 0
  for (;;) {
    const next = at.next.get(path.charCodeAt(length))
    if (next === undefined || !path.startsWith(next.edge, length)) return found
    length += next.edge.length
    at = next
    if (at.rules.length > 0) found = at
  }
}

/** The place of an anchor, made where it is not there; an edge that the anchor leaves is cut in two. */
function placeFor<T> (root: Place<T>, anchor: string): Place<T> {
  let at = root
  let length = 0
  while (length < anchor.length) {
    const code = anchor.charCodeAt(length)
    const next = at.next.get(code)
    if (next === undefined) {
      const leaf = place<T>(anchor.slice(length))
      at.next.set(code, leaf)
      return leaf
    }
    let common = 1
    while (common < next.edge.length && next.edge[common] === anchor[length + common]) common++
    if (common < next.edge.length) {
      const fork = place<T>(next.edge.slice(0, common))
      next.edge = next.edge.slice(common)
      fork.next.set(next.edge.charCodeAt(0), next)
      at.next.set(code, fork)
      at = fork
    } else {
      at = next
    }
    length += common
  }
  return at
}

/** Sorts the rules of each place and links it to the one above. */
function arrange<T extends Matched> (root: Place<T>): void {
  const open = [root]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    at.rules.sort(byPriority)
    for (const next of at.next.values()) {
      next.above = at.rules.length > 0 ? at : at.above
      open.push(next)
    }
  }
}
