import { invalidRequest } from './errors.ts'

const form = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/** Policies that belong to the broker: nobody writes, lists or assigns them. */
const internal: ReadonlySet<string> = new Set(['response-wrapping', 'control-group'])

/**
 * A policy's name as it is stored and compared: in lower case, so that `Admin` and `admin` are one
 * (SEC-013). Null for what is no name: only ASCII letters, digits, `_`, `.` and `-`, at most 128 of
 * them, no `..`, so that nothing looks like `root` and is not (SEC-014, SEC-015).
 */
export function foldPolicyName (raw: string): string | null {
  return form.test(raw) && !raw.includes('..') ? raw.toLowerCase() : null
}

/** As `foldPolicyName`. @throws BrokerError `invalid_request` for what is no name. */
export function parsePolicyName (raw: string): string {
  const name = foldPolicyName(raw)
  if (name === null) throw invalidRequest('a policy name is made of letters, digits, "_", "." and "-"')
  return name
}

/** Whether a policy belongs to the broker: it cannot be written, listed or assigned (contract 4.5). */
export function isInternalPolicy (name: string): boolean {
  return internal.has(name)
}
