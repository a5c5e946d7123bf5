import { AwsError, limitExceeded } from '../aws-error.ts'
import { readList, type Params } from '../http/params.ts'
import { textRule, type Problems } from '../validation.ts'

/** The limits of IAM's parameters, as its API model has them. */
export const rules = {
  userName: textRule(1, 64, '[\\w+=,.@-]+'),
  existingUserName: textRule(1, 128, '[\\w+=,.@-]+'),
  groupName: textRule(1, 128, '[\\w+=,.@-]+'),
  roleName: textRule(1, 64, '[\\w+=,.@-]+'),
  policyName: textRule(1, 128, '[\\w+=,.@-]+'),
  instanceProfileName: textRule(1, 128, '[\\w+=,.@-]+'),
  path: textRule(1, 512, '(\\u002F)|(\\u002F[\\u0021-\\u007F]+\\u002F)'),
  policyPath: textRule(1, 512, '((/[A-Za-z0-9\\.,\\+@=_-]+)*)/'),
  pathPrefix: textRule(1, 512, '\\u002F[\\u0021-\\u007F]*'),
  arn: textRule(20, 2048),
  document: textRule(1, 131_072, '[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+'),
  description: textRule(undefined, 1000, '[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u00A1-\\u00FF]*'),
  versionId: textRule(undefined, undefined, 'v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?'),
  accessKeyId: textRule(16, 128, '[\\w]+'),
  tagKey: textRule(1, 128, '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+', 'u'),
  tagValue: textRule(0, 256, '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*', 'u'),
  url: textRule(1, 255),
  marker: textRule(1, 320, '[\\u0020-\\u00FF]+'),
  roleSeconds: { min: 3600, max: 43_200 },
  maxItems: { min: 1, max: 1000 }
}

/** Sizes and counts of an account ("IAM and AWS STS quotas", IAM User Guide). */
export const quotas = {
  accessKeysPerUser: 2,
  groupsPerUser: 10,
  versionsPerPolicy: 5,
  managedPolicyCharacters: 6144,
  trustCharacters: 2048,
  tags: 50
}

/** Characters that a quota counts: white space is free. */
export function countedCharacters (text: string): number {
  return text.replaceAll(/\s/g, '').length
}

export type TagPairs = readonly (readonly [string, string])[]

/** Reads `Tags.member.N`, noting violations. */
export function readTags (params: Params, problems: Problems): TagPairs {
  const tags = readList(params, 'Tags.member').map((element, index) => [
    problems.required(element, '.Key', rules.tagKey, `tags.${index + 1}.member.key`),
    problems.required(element, '.Value', rules.tagValue, `tags.${index + 1}.member.value`)
  ] as const)
  problems.count(tags.length, quotas.tags, 'tags')
  return tags
}

/**
 * Tags with more of them: keys differ by more than case, and keep the spelling they came with.
 *
 * @throws AwsError InvalidInput for keys that collide or are AWS's own, LimitExceeded beyond 50.
 */
export function mergeTags (known: ReadonlyMap<string, string>, more: TagPairs): ReadonlyMap<string, string> {
  const keys = more.map(([key]) => key.toLowerCase())
  if (new Set(keys).size !== keys.length) {
    throw new AwsError(400, 'InvalidInput', 'Duplicate tag keys found. Please note that Tag keys are case insensitive.')
  }
  if (keys.some((key) => key.startsWith('aws:'))) {
    throw new AwsError(400, 'InvalidInput', 'Tag keys must not begin with aws:, which is reserved.')
  }
  const kept = [...known].filter(([key]) => !keys.includes(key.toLowerCase()))
  if (kept.length + more.length > quotas.tags) {
    throw limitExceeded('The number of tags has reached the maximum limit.')
  }
  return new Map([...kept, ...more])
}

/** One page of a list: MaxItems (100 unless given) from Marker on. */
export function readPage (params: Params, problems: Problems): <T>(items: readonly T[]) => Page<T> {
  const max = problems.number(params, 'MaxItems', rules.maxItems) ?? 100
  const marker = problems.text(params, 'Marker', rules.marker)
  const start = marker === null ? 0 : Number(/^after-(\d{1,9})$/.exec(Buffer.from(marker, 'base64url').toString())?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) problems.add(marker, 'marker', 'Member must be a marker of an earlier answer')
  return (items) => {
    const end = start + max
    const isTruncated = end < items.length
    return {
      items: items.slice(start, end),
      fields: {
        IsTruncated: isTruncated,
        Marker: isTruncated ? Buffer.from(`after-${end}`).toString('base64url') : undefined
      }
    }
  }
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly fields: { readonly IsTruncated: boolean, readonly Marker: string | undefined }
}
