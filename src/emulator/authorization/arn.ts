import type { RequestContext } from './context.ts'
import { globOf, matchesGlob, type Glob } from './glob.ts'
import { fillTemplate, isFixed, parseTemplate } from './template.ts'

const colon = 0x3a
const segments = 6

/** A test of an ARN against a pattern; null: one of the two is not an ARN of six parts. */
export type ArnTest = (arn: string, context: RequestContext) => boolean | null

/** The six parts of an ARN; the last keeps its colons. null: fewer than six. */
export function splitArn (arn: string): readonly string[] | null {
  const parts = arn.split(':')
  if (parts.length < segments) return null
  return [...parts.slice(0, segments - 1), parts.slice(segments - 1).join(':')]
}

function splitGlob (glob: Glob): readonly Glob[] {
  const parts: Glob[] = []
  let from = 0
  while (parts.length < segments - 1) {
    const at = glob.indexOf(colon, from)
    if (at < 0) break
    parts.push(glob.slice(from, at))
    from = at + 1
  }
  return [...parts, glob.slice(from)]
}

function matchParts (pattern: readonly Glob[], arn: string): boolean | null {
  const parts = splitArn(arn)
  if (parts === null || pattern.length !== segments) return null
  return pattern.every((glob, at) => matchesGlob(glob, parts[at] ?? ''))
}

/** ArnLike and ArnEquals: each of the six parts is matched by itself, wildcards stay within it. */
export function arnCondition (expected: string, variables: boolean): ArnTest {
  const template = parseTemplate(expected, variables)
  if (isFixed(template)) {
    const pattern = splitGlob(fillTemplate(template, new Map(), true) ?? [])
    return (arn) => matchParts(pattern, arn)
  }
  return (arn, context) => {
    const glob = fillTemplate(template, context, true)
    return glob === null ? false : matchParts(splitGlob(glob), arn)
  }
}

/** Splits a Resource at its first five colons, none of them inside `${}`. */
export function splitResource (resource: string): readonly string[] {
  const parts: string[] = []
  let from = 0
  for (const match of resource.matchAll(/\$\{[^}]*\}|:/g)) {
    if (match[0] !== ':' || parts.length === segments - 1) continue
    parts.push(resource.slice(from, match.index))
    from = match.index + 1
  }
  return [...parts, resource.slice(from)]
}

/**
 * A test for one entry of Resource or NotResource. `*` is everything; parts left out at the end
 * are `*`. Variables are replaced after the fifth colon only (AWS: Resource element).
 */
export function resourceTest (
  resource: string, variables: boolean
): (resource: string, context: RequestContext) => boolean {
  if (resource === '*') return () => true
  const parts = splitResource(resource)
  const head = Array.from({ length: segments - 1 }, (_, at) => globOf(parts[at] ?? '*', true))
  const template = parseTemplate(parts[segments - 1] ?? '*', variables)
  const fixed = isFixed(template) ? fillTemplate(template, new Map(), true) : null
  return (requested, context) => {
    const last = fixed ?? fillTemplate(template, context, true)
    return last !== null && matchParts([...head, last], requested) === true
  }
}
