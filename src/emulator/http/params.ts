import { AwsError } from '../aws-error.ts'
import type { Incoming } from './incoming.ts'

/** Parameters of the query protocol: flat names such as `Tags.member.1.Key`. */
export type Params = ReadonlyMap<string, string>

const paramsMax = 2000

/**
 * Parameters from the query and, of a form, from the body. A plus sign is a space in a form; in
 * a query it is itself, as in the canonical request.
 *
 * @throws AwsError MalformedQueryString when it cannot be decoded or names a parameter twice.
 */
export function readParams (request: Incoming): Params {
  const params = new Map<string, string>()
  if (request.query !== '') addPairs(params, request.query, true)
  const isForm = (request.headers.get('content-type') ?? '').startsWith('application/x-www-form-urlencoded')
  if (isForm && request.body.length > 0) addPairs(params, request.body.toString('latin1'), false)
  return params
}

function addPairs (params: Map<string, string>, text: string, isQuery: boolean): void {
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals), isQuery)
    if (isQuery && /^x-amz-/i.test(name)) continue
    if (params.has(name) || params.size >= paramsMax) {
      throw new AwsError(400, 'MalformedQueryString', 'The query string contains a syntax error.')
    }
    params.set(name, decode(equals === -1 ? '' : pair.slice(equals + 1), isQuery))
  }
}

function decode (text: string, isQuery: boolean): string {
  const spaced = !isQuery && text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    throw new AwsError(400, 'MalformedQueryString', 'The query string contains a syntax error.')
  }
}

/**
 * The elements of a list, in order: for `Tags.member` with `Tags.member.1.Key=a` one element
 * `{ '.Key' => 'a' }`, and for `PolicyNames.member.1=a` one with the empty name.
 */
export function readList (params: Params, prefix: string): readonly Params[] {
  const elements = new Map<number, Map<string, string>>()
  for (const [name, value] of params) {
    if (!name.startsWith(prefix) || name.charAt(prefix.length) !== '.') continue
    const match = /^(\d{1,9})(\..*)?$/.exec(name.slice(prefix.length + 1))
    if (match === null) continue
    const index = Number(match[1])
    const element = elements.get(index) ?? new Map<string, string>()
    element.set(match[2] ?? '', value)
    elements.set(index, element)
  }
  return [...elements].toSorted(([a], [b]) => a - b).map(([, element]) => element)
}

/** The plain values of a list, in order. */
export function readTexts (params: Params, prefix: string): readonly string[] {
  return readList(params, prefix).flatMap((element) => element.get('') ?? [])
}

/** Whether any parameter belongs to the list. */
export function hasList (params: Params, prefix: string): boolean {
  for (const name of params.keys()) if (name.startsWith(`${prefix}.`)) return true
  return false
}
