import { AwsError, invalid } from '../aws-error.ts'
import { readList, readTexts, type Params } from '../http/params.ts'
import type { Judge } from '../judge.ts'
import type { Session } from '../state/sessions.ts'
import type { World } from '../state/world.ts'
import type { Problems } from '../validation.ts'
import { policyArnsMax, providedContextsMax, rules, sessionPolicyTextMax, tagsMax } from './rules.ts'

export type TagList = readonly (readonly [string, string])[]

/** What a caller puts into a session. */
export interface SessionContent {
  readonly policy: string | null
  readonly policyArns: readonly string[]
  readonly tags: TagList
  readonly transitiveTagKeys: readonly string[]
  readonly tokenBytesMin: number
}

/** Reads Policy, PolicyArns, Tags, TransitiveTagKeys and MinimumSessionTokenSize, noting violations. */
export function readSessionContent (params: Params, problems: Problems): SessionContent {
  const policy = problems.text(params, 'Policy', rules.policy)
  const policyArns = readList(params, 'PolicyArns.member').map((element, index) =>
    problems.required(element, '.arn', rules.policyArn, `policyArns.${index + 1}.member.arn`))
  problems.count(policyArns.length, policyArnsMax, 'policyArns')
  const tags = readList(params, 'Tags.member').map((element, index) => [
    problems.required(element, '.Key', rules.tagKey, `tags.${index + 1}.member.key`),
    problems.required(element, '.Value', rules.tagValue, `tags.${index + 1}.member.value`)
  ] as const)
  problems.count(tags.length, tagsMax, 'tags')
  const transitiveTagKeys = readTexts(params, 'TransitiveTagKeys.member')
  transitiveTagKeys.forEach((key, index) => problems.text(
    new Map([['key', key]]), 'key', rules.tagKey, `transitiveTagKeys.${index + 1}.member`))
  problems.count(transitiveTagKeys.length, tagsMax, 'transitiveTagKeys')
  const contexts = readList(params, 'ProvidedContexts.member')
  problems.count(contexts.length, providedContextsMax, 'providedContexts')
  contexts.forEach((element, index) => {
    problems.text(element, '.ProviderArn', rules.policyArn, `providedContexts.${index + 1}.member.providerArn`)
    problems.text(element, '.ContextAssertion', rules.contextAssertion,
      `providedContexts.${index + 1}.member.contextAssertion`)
  })
  const tokenBytesMin = problems.number(params, 'MinimumSessionTokenSize', rules.tokenBytes) ?? 0
  return { policy, policyArns, tags, transitiveTagKeys, tokenBytesMin }
}

/**
 * Checks what is beyond single values: tags that collide, transitive keys without a tag, a
 * policy that is none.
 *
 * @throws AwsError InvalidParameterValue; PolicyError MalformedPolicyDocument.
 */
export function checkSessionContent (
  content: SessionContent, inherited: Session | null, judge: Pick<Judge, 'parseSessionPolicy'>
): void {
  const keys = content.tags.map(([key]) => key.toLowerCase())
  if (new Set(keys).size !== keys.length) {
    throw badValue('Duplicate tag keys found. Please note that Tag keys are case insensitive.')
  }
  if (keys.some((key) => key.startsWith('aws:'))) {
    throw badValue('Tag keys must not begin with aws:, which is reserved.')
  }
  if (content.transitiveTagKeys.some((key) => !keys.includes(key.toLowerCase()))) {
    throw badValue('The specified transitive tag key must be included in the requested tags.')
  }
  const fixed = new Set(inherited?.transitiveTagKeys.map((key) => key.toLowerCase()))
  if (keys.some((key) => fixed.has(key))) {
    throw badValue('One of the specified transitive tag keys can\'t be set because it conflicts with a transitive tag key from the calling session.')
  }
  if (content.policy !== null) judge.parseSessionPolicy(content.policy)
}

/**
 * Checks that managed session policies exist where they may come from, and the text of all.
 *
 * @throws AwsError ValidationError, PackedPolicyTooLarge.
 */
export function checkPolicyArns (
  { policy, policyArns }: SessionContent, accountId: string, region: string, world: World
): void {
  if (policyArns.length === 0) return
  const found = policyArns.map((arn) => {
    const owner = arn.split(':')[4]
    const managed = owner === 'aws' || owner === accountId ? world.findPolicyFrom(region, arn) : null
    if (managed === null) throw invalid(`Policy ${arn} does not exist or is not attachable.`)
    return managed.versions.find(({ id }) => id === managed.defaultVersion)?.text ?? ''
  })
  const characters = [policy ?? '', ...found].reduce((sum, text) => sum + text.length, 0)
  if (characters > sessionPolicyTextMax) {
    const percent = Math.ceil(100 * characters / sessionPolicyTextMax)
    throw new AwsError(400, 'PackedPolicyTooLarge', `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`)
  }
}

/** The transitive tags that a session hands to the next one. */
export function inheritedTags (session: Session | null): TagList {
  if (session === null || session.transitiveTagKeys.length === 0) return []
  const transitive = new Set(session.transitiveTagKeys.map((key) => key.toLowerCase()))
  return session.tags.filter(([key]) => transitive.has(key.toLowerCase()))
}

function badValue (message: string): AwsError {
  return new AwsError(400, 'InvalidParameterValue', message)
}
