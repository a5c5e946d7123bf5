import { AwsError } from '../aws-error.ts'
import type { Call } from '../call.ts'
import { readList, readTexts, type Params } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import { reasonOf, type Judge } from '../judge.ts'
import type { ExtraKeys } from '../request-context.ts'
import type { RandomSource } from '../state/random.ts'
import type { Vault } from '../state/vault.ts'

/** Checks EC2's rights, in EC2's words. */
export interface Ec2Gate {
  /**
   * @throws AwsError UnauthorizedOperation, 403. For an action on one resource the refusal ends
   * with a sealed account of the decision, which DecodeAuthorizationMessage opens.
   */
  authorize (call: Call, resource?: string, extra?: ExtraKeys): void
  /** @throws AwsError DryRunOperation, 412, when the request is a rehearsal. After every right was found. */
  endDryRun (call: Call): void
}

export function createEc2Gate (
  { judge, vault, random }: { judge: Judge, vault: Vault, random: RandomSource }
): Ec2Gate {
  const endDryRun = ({ params }: Call): void => {
    if (params.get('DryRun') !== 'true') return
    throw new AwsError(412, 'DryRunOperation', 'Request would have succeeded, but DryRun flag is set.')
  }

  return {
    endDryRun,
    authorize (call, resource, extra = {}) {
      const action = `ec2:${call.action}`
      const keys = { 'ec2:Region': [call.region], ...extra }
      const decision = judge.decide(call, action, resource ?? '*', keys)
      if (decision.allowed) {
        if (resource === undefined) endDryRun(call)
        return
      }
      const target = resource === undefined ? '' : ` on resource: ${resource}`
      const message = `You are not authorized to perform this operation. User: ${call.caller.arn} is not authorized to perform: ${action}${target} ${reasonOf(decision, action)}`
      if (resource === undefined) throw new AwsError(403, 'UnauthorizedOperation', message)
      const account = JSON.stringify({
        allowed: false,
        explicitDeny: decision.explicitDenyBy !== null,
        matchedStatements: { items: [] },
        failures: { items: [] },
        context: {
          principal: { id: call.caller.userId, arn: call.caller.arn },
          action,
          resource,
          conditions: { items: Object.entries(keys).map(([key, values]) =>
            ({ key, values: { items: values.map((value) => ({ value })) } })) }
        }
      })
      const sealed = vault.seal('message', Buffer.from(account), random.bytes(12)).toString('base64url')
      throw new AwsError(403, 'UnauthorizedOperation', `${message}. Encoded authorization failure message: ${sealed}`)
    }
  }
}

/** A parameter, where an empty one counts as absent: providers send those. */
export function given (params: Params, name: string): string | undefined {
  const value = params.get(name)
  return value === '' ? undefined : value
}

/**
 * The ids that a change is for: at least one, or else there is nothing to ask a right for.
 *
 * @throws AwsError MissingParameter.
 */
export function requireIds (params: Params, name: string): readonly string[] {
  const ids = readTexts(params, name)
  if (ids.length === 0) throw new AwsError(400, 'MissingParameter', `The request must contain the parameter ${name}`)
  return ids
}

/**
 * `Tag.N` of a parameter group.
 *
 * @throws AwsError InvalidParameterValue for keys and values beyond EC2's bounds.
 */
export function readEc2Tags (params: Params, prefix: string): readonly (readonly [string, string])[] {
  const tags = readList(params, prefix).map((tag) => [tag.get('.Key') ?? '', tag.get('.Value') ?? ''] as const)
  const problem = tags.map(([key, value]) => {
    if (key === '') return 'Tag key cannot be empty.'
    if (key.startsWith('aws:')) return 'Tag keys starting with \'aws:\' are reserved for internal use'
    if (key.length > 127) return 'Tag key exceeds the maximum length of 127 characters.'
    return value.length > 255 ? 'Tag value exceeds the maximum length of 255 characters.' : null
  }).find((words) => words !== null)
  if (problem !== undefined) throw new AwsError(400, 'InvalidParameterValue', problem)
  return tags
}

/** One `Filter.N`. */
export interface Filter {
  readonly name: string
  readonly values: readonly string[]
}

export function readFilters (params: Params): readonly Filter[] {
  return readList(params, 'Filter').map((element) => ({
    name: element.get('.Name') ?? '', values: readTexts(element, '.Value')
  }))
}

/** What a resource has under each filter name; tags are `tag:Name`. */
export type Facets = Readonly<Record<string, readonly (string | null)[]>>

/**
 * Whether a resource passes every filter: any value of each, with `*` and `?`.
 *
 * @throws AwsError InvalidParameterValue for a filter that does not exist here.
 */
export function passesFilters (filters: readonly Filter[], facets: Facets, tags: ReadonlyMap<string, string>): boolean {
  return filters.every(({ name, values }) => {
    if (name.startsWith('tag:')) return matchesAny(tags.get(name.slice(4)) ?? null, values)
    if (name === 'tag-key') return [...tags.keys()].some((key) => matchesAny(key, values))
    if (!Object.hasOwn(facets, name)) {
      throw new AwsError(400, 'InvalidParameterValue', `The filter '${name.slice(0, 64)}' is invalid`)
    }
    return facets[name]?.some((value) => matchesAny(value, values)) ?? false
  })
}

function matchesAny (actual: string | null, values: readonly string[]): boolean {
  return actual !== null && values.some((value) => matchesWildcard(value, actual))
}

/** `*` for any run of characters and `?` for one, in time that grows with the product of the lengths. */
function matchesWildcard (pattern: string, text: string): boolean {
  let row = [true, ...Array.from(text, () => false)]
  for (const letter of pattern) {
    const next = [letter === '*' && row[0] === true]
    for (let i = 0; i < text.length; i++) {
      next.push(letter === '*'
        ? next[i] === true || row[i + 1] === true
        : row[i] === true && (letter === '?' || letter === text.charAt(i)))
    }
    row = next
  }
  return row.at(-1) === true
}

/** One page: MaxResults from NextToken on. */
export function pageOf<T> (
  params: Params, items: readonly T[]
): { readonly items: readonly T[], readonly nextToken: string | undefined } {
  const max = params.get('MaxResults')
  const token = params.get('NextToken')
  const start = token === undefined ? 0 : Number(/^after-(\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString())?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) throw new AwsError(400, 'InvalidNextToken', 'The provided NextToken is not valid')
  if (max !== undefined && !/^\d{1,6}$/.test(max)) {
    throw new AwsError(400, 'InvalidParameterValue', `Value ( ${max.slice(0, 64)} ) for parameter maxResults is invalid.`)
  }
  const end = start + (max === undefined ? items.length : Math.max(1, Number(max)))
  return {
    items: items.slice(start, end),
    nextToken: end < items.length ? Buffer.from(`after-${end}`).toString('base64url') : undefined
  }
}

export function tagSet (tags: ReadonlyMap<string, string> | undefined): readonly Tree[] {
  return [...tags ?? []].map(([key, value]) => ({ key, value }))
}

/** @throws AwsError with the code EC2 has for this kind of id. */
export function missing (code: string, kind: string, ids: readonly string[]): AwsError {
  return new AwsError(400, code, ids.length === 1
    ? `The ${kind} ID '${ids.join()}' does not exist`
    : `The ${kind} IDs '${ids.join(', ')}' do not exist`)
}
