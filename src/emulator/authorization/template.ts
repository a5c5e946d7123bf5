import type { RequestContext } from './context.ts'
import { globOf, type Glob } from './glob.ts'

type Part =
  | { readonly kind: 'text', readonly text: string }
  | { readonly kind: 'exact', readonly text: string }
  | { readonly kind: 'variable', readonly key: string, readonly fallback: string | null }

/** Policy text in which variables have been found but not yet replaced. */
export type Template = readonly Part[]

const reference = /\$\{([^}]*)\}/g
const withFallback = /^(.*), '(.*)'$/s

/**
 * Finds `${key}`, `${key, 'default'}` and `${*}`, `${?}`, `${$}` (AWS: policy variables). With
 * `variables` false, as in documents older than 2012-10-17, all of it is plain text.
 */
export function parseTemplate (text: string, variables: boolean): Template {
  if (!variables) return [{ kind: 'text', text }]
  const parts: Part[] = []
  let from = 0
  for (const match of text.matchAll(reference)) {
    if (match.index > from) parts.push({ kind: 'text', text: text.slice(from, match.index) })
    parts.push(parseReference(match[1] ?? ''))
    from = match.index + match[0].length
  }
  if (from < text.length) parts.push({ kind: 'text', text: text.slice(from) })
  return parts
}

function parseReference (name: string): Part {
  if (name === '*' || name === '?' || name === '$') return { kind: 'exact', text: name }
  const match = withFallback.exec(name)
  const key = (match?.[1] ?? name).toLowerCase()
  return { kind: 'variable', key, fallback: match?.[2] ?? null }
}

/** Whether the template is the same for every request. */
export function isFixed (template: Template): boolean {
  return template.every((part) => part.kind !== 'variable')
}

/**
 * The template with the request's values, which are never wildcards. null: a variable has no
 * value, so nothing equals it: its key is absent or empty and it has no default, or its key has
 * several values (AWS: policy variables with no value).
 */
export function fillTemplate (
  template: Template, context: RequestContext, wildcards: boolean
): Glob | null {
  let glob: Glob = []
  for (const part of template) {
    if (part.kind === 'variable') {
      const values = context.get(part.key) ?? []
      const [only = ''] = values
      const value = values.length > 1 ? null : only === '' ? part.fallback : only
      if (value === null) return null
      glob = glob.concat(globOf(value, false))
    } else {
      glob = glob.concat(globOf(part.text, wildcards && part.kind === 'text'))
    }
  }
  return glob
}
