import type { Operation } from '../core/backend.ts'
import type { JsonObject } from '../core/json.ts'
import type { Registered } from './parts.ts'

/** The help text of a mount's root or of a path below it (contract 10.3); null for a path it does not have. */
export function helpFor ({ backend, table }: Registered, rest: string): JsonObject | null {
  if (rest === '') return answer(rootText(backend.description, table.operations))
  const verbs = ['read', 'list', 'scan', 'write', 'patch', 'delete'] as const
  const operations = verbs.flatMap((verb) => table.match(rest, verb)?.operation ?? [])
  return operations.length === 0 ? null : answer(pathText(rest, operations))
}

function answer (help: string): JsonObject {
  return { help, see_also: null, openapi: {} }
}

function rootText (description: string, operations: readonly Operation[]): string {
  const paths = new Map<string, string>()
  for (const { path, summary } of operations) if (!paths.has(path)) paths.set(path, summary)
  const lines = [...paths].sort().map(([path, summary]) => `    ${routeOf(path)}\n        ${summary}\n`)
  return `## DESCRIPTION\n\n${description}\n\n## PATHS\n\n${lines.join('\n')}`
}

function pathText (rest: string, operations: readonly Operation[]): string {
  const [first] = operations
  const fields = new Map(operations.flatMap((operation) => Object.entries(operation.fields)))
  const parameters = [...fields].sort().map(([name, { kind, description }]) => `    ${name} (${kind})\n        ${description}\n`)
  const summaries = operations.map(({ verb, summary }) => `${verb}: ${summary}`)
  return `Request:        ${rest}\nMatching Route: ${routeOf(first?.path ?? '')}\n\n${first?.summary ?? ''}\n\n` +
    `## PARAMETERS\n\n${parameters.join('\n')}\n## DESCRIPTION\n\n${summaries.join('\n')}\n`
}

function routeOf (path: string): string {
  const source = path.replace(/:(\w+)/g, '(?P<$1>[^/]+)').replace(/\*(\w+)/g, '(?P<$1>.+)')
  return `^${source}$`
}
