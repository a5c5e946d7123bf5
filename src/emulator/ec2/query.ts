import { sealAuthorizationMessage } from '../authorization-message.ts'
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
      const sealed = sealAuthorizationMessage(call.caller.account.id, {
        allowed: false,
        explicitDeny: decision.explicitDenyBy !== null,
        matchedStatements: { items: [] },
        failures: { items: [] },
        context: {
          principal: { id: call.caller.userId, name: call.caller.user?.name, arn: call.caller.arn },
          action,
          resource,
          conditions: { items: Object.entries(keys).map(([key, values]) =>
            ({ key, values: { items: values.map((value) => ({ value })) } })) }
        }
      }, { vault, random })
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

/** Reads `Filter.N`. @throws AwsError InvalidParameterValue for one that is neither a tag's nor `known`. */
export function readFilters (params: Params, known: readonly string[] | null = null): readonly Filter[] {
  const filters = readList(params, 'Filter').map((element) => ({
    name: element.get('.Name') ?? '', values: readTexts(element, '.Value')
  }))
  const unknown = filters.find(({ name }) =>
    known !== null && !name.startsWith('tag:') && name !== 'tag-key' && !known.includes(name))
  if (unknown !== undefined) throw unknownFilter(unknown.name)
  return filters
}

function unknownFilter (name: string): AwsError {
  return new AwsError(400, 'InvalidParameterValue', `The filter '${name.slice(0, 64)}' is invalid`)
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
    if (!Object.hasOwn(facets, name)) throw unknownFilter(name)
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

const resultsMin = 5
const resultsMax = 1000

/**
 * One page: MaxResults (5 to 1,000) from NextToken on.
 *
 * @throws AwsError InvalidParameterValue, InvalidNextToken.
 */
export function pageOf<T> (
  params: Params, items: readonly T[]
): { readonly items: readonly T[], readonly nextToken: string | undefined } {
  const max = given(params, 'MaxResults')
  const token = given(params, 'NextToken')
  const start = token === undefined ? 0 : Number(/^after-(\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString())?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) throw new AwsError(400, 'InvalidNextToken', 'The provided NextToken is not valid')
  if (max !== undefined && !(/^\d{1,6}$/.test(max) && Number(max) >= resultsMin && Number(max) <= resultsMax)) {
    const bound = Number(max) > resultsMax ? `less than ${resultsMax}` : `greater than ${resultsMin}`
    throw new AwsError(400, 'InvalidParameterValue', `Value ( ${max.slice(0, 64)} ) for parameter maxResults is invalid. Expecting a value ${bound}.`)
  }
  const end = start + (max === undefined ? items.length : Number(max))
  return {
    items: items.slice(start, end),
    nextToken: end < items.length ? Buffer.from(`after-${end}`).toString('base64url') : undefined
  }
}

export function tagSet (tags: ReadonlyMap<string, string> | undefined): readonly Tree[] {
  return [...tags ?? []].map(([key, value]) => ({ key, value }))
}

/** What EC2 says of ids that do not exist: its code, and its name for such an id. */
export interface Absence {
  readonly code: string
  readonly word: string
}

export const absences = {
  instance: { code: 'InvalidInstanceID.NotFound', word: 'instance ID' },
  volume: { code: 'InvalidVolume.NotFound', word: 'volume' },
  networkInterface: { code: 'InvalidNetworkInterfaceID.NotFound', word: 'networkInterface ID' },
  vpc: { code: 'InvalidVpcID.NotFound', word: 'vpc ID' },
  subnet: { code: 'InvalidSubnetID.NotFound', word: 'subnet ID' },
  securityGroup: { code: 'InvalidGroup.NotFound', word: 'security group' },
  routeTable: { code: 'InvalidRouteTableID.NotFound', word: 'routeTable ID' },
  networkAcl: { code: 'InvalidNetworkAclID.NotFound', word: 'networkAcl ID' },
  internetGateway: { code: 'InvalidInternetGatewayID.NotFound', word: 'internetGateway ID' },
  dhcpOptions: { code: 'InvalidDhcpOptionID.NotFound', word: 'dhcpOption ID' },
  keyPair: { code: 'InvalidKeyPair.NotFound', word: 'key pair' },
  zone: { code: 'InvalidParameterValue', word: 'availability zone' }
} as const satisfies Readonly<Record<string, Absence>>

/** @throws AwsError in EC2's words for ids of this kind. */
export function missing ({ code, word }: Absence, ids: readonly string[]): AwsError {
  return new AwsError(400, code, ids.length === 1
    ? `The ${word} '${ids.join()}' does not exist`
    : `The ${word}s '${ids.join(', ')}' do not exist`)
}
