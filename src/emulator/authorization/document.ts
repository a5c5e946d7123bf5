import { findObject, refuse, type PolicyKind } from './grammar.ts'
import { PolicyError } from './policy-error.ts'
import { parseStatement, type Statement } from './statement.ts'
import { findStrictJson } from './strict-json.ts'

export { PolicyError }
export type { PolicyKind, Statement }

/** A policy that was found well formed. Immutable; keep it and evaluate it as often as needed. */
export interface PolicyDocument {
  readonly kind: PolicyKind
  readonly version: '2008-10-17' | '2012-10-17'
  readonly statements: readonly Statement[]
  /** The JSON value as written, but for the principals of a trust policy once they are resolved. */
  readonly source: Readonly<Record<string, unknown>>
}

/**
 * Reads a policy document, or throws PolicyError with the words that AWS uses (AWS: policy
 * grammar). Sizes are not checked here: each place that holds a policy has a limit of its own.
 */
export function parsePolicyDocument (text: string, kind: PolicyKind): PolicyDocument {
  const json = findStrictJson(text)
  const source = findObject(json?.value) ?? refuse(kind, 'This policy contains invalid Json')
  for (const name of Object.keys(source)) {
    if (name !== 'Version' && name !== 'Id' && name !== 'Statement') {
      refuse(kind, `Unknown field ${name}`)
    }
  }
  const { Id: id, Statement: written } = source
  if (id !== undefined && typeof id !== 'string') refuse(kind, 'Syntax errors in policy.')
  const list: readonly unknown[] = Array.isArray(written)
    ? written
    : written === undefined ? [] : [written]
  if (list.length === 0) refuse(kind, 'Could not parse the policy: Statement is empty!')
  const version = parseVersion(source['Version'], kind)
  const statements = list.map((item) => parseStatement(item, kind, version === '2012-10-17'))
  checkSids(statements, kind)
  return { kind, version, statements, source }
}

function parseVersion (version: unknown, kind: PolicyKind): PolicyDocument['version'] {
  if (version !== undefined && version !== '2008-10-17' && version !== '2012-10-17') {
    return refuse(kind, 'The policy must contain a valid version string')
  }
  if (kind === 'identity' && version !== '2012-10-17') {
    throw new PolicyError('Policy document must be version 2012-10-17 or greater.')
  }
  return version ?? '2008-10-17'
}

function checkSids (statements: readonly Statement[], kind: PolicyKind): void {
  const seen = new Set<string>()
  for (const { sid } of statements) {
    if (sid === null || sid === '') continue
    if (!/^[0-9A-Za-z]*$/.test(sid)) {
      throw new PolicyError('Statement IDs (SID) must be alpha-numeric. ' +
        'Check that your input satisfies the regular expression [0-9A-Za-z]*')
    }
    if (seen.has(sid)) {
      throw new PolicyError(kind === 'identity'
        ? 'Statement IDs (SID) in a single policy must be unique.'
        : 'The Statement Ids in the policy are not unique')
    }
    seen.add(sid)
  }
}
