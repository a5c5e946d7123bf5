// A second implementation of contract 4.3, as slow and as literal as its text, to compare with.

export interface Stanza { readonly path: string, readonly capabilities: readonly string[] }

interface Rule { pattern: string, words: Set<string> }

export function referenceRule (
  policies: ReadonlyMap<string, readonly Stanza[]>, path: string, list: boolean
): Set<string> | null {
  const exact = new Map<string, Rule>()
  const prefix = new Map<string, Rule>()
  const segment = new Map<string, Rule>()
  for (const name of [...policies.keys()].sort()) {
    for (const { path: raw, capabilities } of policies.get(name) ?? []) {
      const pattern = raw.replace(/^\//, '')
      const isSegment = pattern === '+' || pattern.includes('/+') || pattern.startsWith('+/')
      const table = isSegment ? segment : pattern.endsWith('*') ? prefix : exact
      const key = table === prefix ? pattern.slice(0, -1) : pattern
      const words = new Set(capabilities.includes('deny') ? ['deny'] : capabilities)
      const former = table.get(key)
      if (former === undefined || words.has('deny')) table.set(key, { pattern, words })
      else if (!former.words.has('deny')) for (const word of words) former.words.add(word)
    }
  }
  const direct = exact.get(path)
  if (direct !== undefined) return direct.words
  const closed = path.replace(/\/$/, '')
  if (list) {
    const closedRule = exact.get(closed)
    if (closedRule !== undefined) return closedRule.words
  }
  const best = bestWildcard(prefix, segment, path)
  if (best !== null) return best.words
  if (list && path.endsWith('/')) return bestWildcard(prefix, segment, closed)?.words ?? null
  return null
}

function bestWildcard (prefix: Map<string, Rule>, segment: Map<string, Rule>, path: string): Rule | null {
  const candidates: Rule[] = []
  const longest = [...prefix.keys()].filter((text) => path.startsWith(text)).sort((a, b) => b.length - a.length)[0]
  if (longest !== undefined) candidates.push(prefix.get(longest) as Rule)
  for (const rule of segment.values()) if (segmentMatches(rule.pattern, path)) candidates.push(rule)
  candidates.sort((a, b) => {
    const firstWildcard = position(b) - position(a)
    if (firstWildcard !== 0) return firstWildcard
    const star = Number(a.pattern.endsWith('*')) - Number(b.pattern.endsWith('*'))
    if (star !== 0) return star
    const pluses = plusSegments(a) - plusSegments(b)
    if (pluses !== 0) return pluses
    const length = bare(b).length - bare(a).length
    if (length !== 0) return length
    return bare(a) > bare(b) ? -1 : 1
  })
  return candidates[0] ?? null
}

function bare ({ pattern }: Rule): string {
  return pattern.replace(/\*$/, '')
}

function isSegmentRule ({ pattern }: Rule): boolean {
  return pattern === '+' || pattern.includes('/+') || pattern.startsWith('+/')
}

function position (rule: Rule): number {
  return isSegmentRule(rule) ? rule.pattern.indexOf('+') : bare(rule).length
}

function plusSegments (rule: Rule): number {
  return isSegmentRule(rule) ? bare(rule).split('/').filter((part) => part === '+').length : 0
}

function segmentMatches (pattern: string, path: string): boolean {
  const open = pattern.endsWith('*')
  const wanted = (open ? pattern.slice(0, -1) : pattern).split('/')
  const given = path.split('/')
  if (open ? wanted.length > given.length : wanted.length !== given.length) return false
  return wanted.every((part, n) => {
    const segment = given[n] ?? ''
    if (part === '+' || part === segment) return true
    return open && n === wanted.length - 1 && segment.startsWith(part)
  })
}
