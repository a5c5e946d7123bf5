import type { Case, Conditions, PolicyJson, StatementJson } from './case.ts'
import type { Random } from './random.ts'

const home = '111111111111'
const other = '222222222222'
const role = `arn:aws:iam::${home}:role/Target`

const words = ['red', 'Red', 'blue', 'a', 'ab', 'abc', 'acct@int@stack@write', 'x*y', '']
const patterns = ['red', 'r*', '*', 'R?d', '?', 'a*c', '*b*', 'acct@*', 'acct@*@stack@*', '${*}', 'x${*}y', 'abc*', '']
const variables = [
  '${aws:username}', '${aws:PrincipalTag/team}', '${AWS:UserID}', 'x-${aws:username}',
  "${aws:PrincipalTag/team, 'red'}", "${aws:username, 'abc'}", '${aws:username}*'
]
const numbers = ['0', '1', '5', '5.0', '10', '-3', '3600']
const dates = [
  '2026-01-01T00:00:00Z', '2026-01-01T01:00:00+01:00', '2026-06-30T12:00:00Z', '2025-12-31', '2026-01',
  '2026-06-30T12:00:00.500Z'
]
const addresses = ['10.0.0.1', '10.1.2.3', '192.168.1.1', '2001:db8::1', '2001:db8:1::5']
const ranges = ['10.0.0.0/8', '10.0.0.1', '10.0.0.1/32', '192.168.0.0/16', '0.0.0.0/0', '2001:db8::/32', '2001:db8::1/128']
const arns = [
  'arn:aws:iam::111111111111:role/Ops', 'arn:aws:iam::222222222222:role/team/Ops',
  'arn:aws:iam::111111111111:user/ann', 'arn:aws:sns:eu-west-1:111111111111:topic:x'
]
const arnPatterns = [
  ...arns, 'arn:aws:iam::*:role/*', 'arn:aws:iam::111111111111:*', 'arn:*:iam::?11111111111:role/O?s',
  'arn:aws:sns:*:*:*', 'arn:aws:iam::111111111111:role/${aws:username}'
]
const base64 = ['QUJD', 'QUI=', 'QQ==', '']

interface Family {
  readonly operators: readonly string[]
  readonly keys: readonly string[]
  readonly actual: readonly string[]
  readonly expected: readonly string[]
}

const comparisons = ['LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals', 'Equals', 'NotEquals']
const single = ['aws:username', 'aws:userid', 'aws:PrincipalTag/team', 'aws:SourceIdentity', 'aws:RequestedRegion']

const families: readonly Family[] = [
  { operators: ['StringEquals', 'StringNotEquals', 'StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase'], keys: single, actual: words, expected: [...words, ...variables] },
  { operators: ['StringLike', 'StringNotLike'], keys: single, actual: words, expected: [...patterns, ...variables] },
  { operators: comparisons.map((name) => `Numeric${name}`), keys: ['aws:MultiFactorAuthAge'], actual: numbers, expected: numbers },
  { operators: comparisons.map((name) => `Date${name}`), keys: ['aws:CurrentTime', 'aws:TokenIssueTime'], actual: dates, expected: dates },
  { operators: ['Bool'], keys: ['aws:SecureTransport', 'aws:MultiFactorAuthPresent'], actual: ['true', 'false'], expected: ['true', 'false', 'True'] },
  { operators: ['BinaryEquals'], keys: ['aws:username'], actual: base64, expected: base64 },
  { operators: ['IpAddress', 'NotIpAddress'], keys: ['aws:SourceIp', 'aws:VpcSourceIp'], actual: addresses, expected: ranges },
  { operators: ['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'], keys: ['aws:PrincipalArn', 'aws:SourceArn'], actual: arns, expected: arnPatterns },
  { operators: ['Null'], keys: [...single, 'aws:TokenIssueTime', 'aws:TagKeys'], actual: words, expected: ['true', 'false'] }
]

const several: Family = {
  operators: ['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike', 'StringEqualsIgnoreCase'],
  keys: ['aws:TagKeys', 'aws:CalledVia'],
  actual: words,
  expected: [...words, ...patterns, '${aws:username}']
}

function oneOrMore (random: Random, list: readonly string[]): string | string[] {
  return random.chance(0.5) ? random.pick(list) : random.some(list, 3)
}

interface Part {
  readonly conditions: Conditions
  readonly context: Record<string, string | string[]>
}

function condition (random: Random): Part {
  if (random.chance(0.3)) {
    const quantifier = random.pick(['ForAllValues:', 'ForAnyValue:'])
    const suffix = random.chance(0.15) ? 'IfExists' : ''
    const key = random.pick(several.keys)
    const operator = `${quantifier}${random.pick(several.operators)}${suffix}`
    return {
      conditions: { [operator]: { [key]: oneOrMore(random, several.expected) } },
      context: random.chance(0.8) ? { [key]: random.some(several.actual, 3) } : {}
    }
  }
  const family = random.pick(families)
  const operator = random.pick(family.operators)
  const suffix = operator !== 'Null' && random.chance(0.25) ? 'IfExists' : ''
  const key = random.pick(family.keys)
  const actual = key === 'aws:TagKeys' ? [random.pick(family.actual)] : random.pick(family.actual)
  return {
    conditions: { [`${operator}${suffix}`]: { [key]: oneOrMore(random, family.expected) } },
    context: random.chance(0.75) ? { [key]: actual } : {}
  }
}

function merge (parts: readonly Part[]): Part {
  const conditions: Conditions = {}
  const context: Record<string, string | string[]> = {}
  for (const part of parts) {
    for (const [operator, block] of Object.entries(part.conditions)) {
      conditions[operator] = { ...conditions[operator], ...block }
    }
    Object.assign(context, part.context)
  }
  return { conditions, context }
}

function conditionsOf (random: Random, most: number): Part {
  const parts = Array.from({ length: 1 + random.below(most) }, () => condition(random))
  const { conditions, context } = merge(parts)
  for (const key of ['aws:username', 'aws:userid', 'aws:PrincipalTag/team']) {
    if (random.chance(0.5)) context[key] ??= random.pick(words)
  }
  return { conditions, context }
}

const caller = `arn:aws:sts::${home}:assumed-role/Ops/run-1`
const user = `arn:aws:iam::${home}:user/ann`
const federatedUser = `arn:aws:sts::${home}:federated-user/fay`

function conditionCase (random: Random): Case {
  const { conditions, context } = conditionsOf(random, 3)
  const allowAll: StatementJson = { Effect: 'Allow', Action: '*', Resource: '*' }
  const judged: StatementJson = { ...allowAll, Condition: conditions }
  const statements = random.chance(0.7) ? [judged] : [allowAll, { ...judged, Effect: 'Deny' as const }]
  return {
    kind: 'condition',
    action: 'ec2:DescribeVpcs',
    resource: '*',
    account: home,
    principal: caller,
    context,
    identity: [{ Version: '2012-10-17', Statement: statements }],
    boundary: null,
    session: null,
    trust: null
  }
}

const requests = [
  { action: 's3:GetObject', resource: 'arn:aws:s3:::bucket/red/file' },
  { action: 's3:PutObject', resource: 'arn:aws:s3:::bucket/a' },
  { action: 's3:GetObject', resource: 'arn:aws:s3:::bucket/x:y' },
  { action: 'ec2:TerminateInstances', resource: `arn:aws:ec2:eu-west-1:${home}:instance/i-0123456789abcdef0` },
  { action: 'iam:GetUser', resource: `arn:aws:iam::${home}:user/ann` },
  { action: 'ec2:DescribeRegions', resource: '*' }
]
const actionPatterns = [
  '*', 's3:*', 's3:Get*', 'S3:getobject', 's3:PutObject', 'ec2:*', 'ec2:Describe*', 'ec2:?erminate*', 'iam:Get*', 'iam:*User', 's3:*Object'
]
const resourcePatterns = [
  '*', 'arn:aws:s3:::bucket/*', 'arn:aws:s3:::*', 'arn:aws:s3:::bucket/${aws:username}/*', 'arn:aws:s3:::bucket/${aws:username}',
  "arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'red'}/*", 'arn:aws:s3:::bucket/?', 'arn:aws:s3:::b*t/*/file', 'arn:aws:s3:::bucket/x${*}y*',
  'arn:aws:ec2:*:*:instance/*', `arn:aws:ec2:eu-*:${home}:instance/i-*`, 'arn:aws:ec2:us-east-1:*:*',
  'arn:aws:iam::*:user/${aws:username}', `arn:aws:iam::${home}:user/*`, 'arn:*:iam::*:*'
]

function statement (random: Random, context: Record<string, string | string[]>): StatementJson {
  const result: StatementJson = { Effect: random.chance(0.75) ? 'Allow' : 'Deny' }
  result[random.chance(0.85) ? 'Action' : 'NotAction'] = oneOrMore(random, actionPatterns)
  result[random.chance(0.85) ? 'Resource' : 'NotResource'] = oneOrMore(random, resourcePatterns)
  if (random.chance(0.25)) {
    const part = conditionsOf(random, 1)
    result.Condition = part.conditions
    for (const [key, value] of Object.entries(part.context)) context[key] ??= value
  }
  return result
}

function policy (random: Random, context: Record<string, string | string[]>, most = 3): PolicyJson {
  const count = 1 + random.below(most)
  return { Version: '2012-10-17', Statement: Array.from({ length: count }, () => statement(random, context)) }
}

function identityCase (random: Random, layered: boolean): Case {
  const context: Record<string, string | string[]> = {}
  if (random.chance(0.6)) context['aws:username'] = random.pick(['red', 'ann', 'a', 'x*y'])
  if (random.chance(0.4)) context['aws:PrincipalTag/team'] = random.pick(words)
  const principal = random.pick([caller, caller, user, federatedUser])
  return {
    kind: layered ? 'layers' : 'identity',
    ...random.pick(requests),
    account: home,
    principal,
    identity: Array.from({ length: 1 + random.below(2) }, () => policy(random, context)),
    boundary: layered && random.chance(0.6) ? policy(random, context) : null,
    session: layered && principal !== user && random.chance(0.6) ? policy(random, context) : null,
    trust: null,
    context
  }
}

const callers = [
  caller, `arn:aws:sts::${home}:assumed-role/Ops/run-2`, user, federatedUser,
  `arn:aws:sts::${other}:assumed-role/Broker/run-1`, `arn:aws:iam::${other}:user/bob`
]
const trusted = [
  home, other, `arn:aws:iam::${home}:root`, `arn:aws:iam::${other}:root`, `arn:aws:iam::${home}:role/Ops`,
  `arn:aws:iam::${other}:role/Broker`, `arn:aws:iam::${home}:user/ann`, `arn:aws:iam::${other}:user/bob`, caller, '*'
]
const trustActions = ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity']
const externalIds = ['acct@int@stack@write', 'acct@int@stack@read', 'acct2@int@stack@read', '0f8b']

function trustConditions (random: Random, context: Record<string, string | string[]>): Conditions {
  const conditions: Conditions = {}
  if (random.chance(0.7)) {
    const operator = random.pick(['StringEquals', 'StringLike', 'StringNotEquals', 'StringEqualsIfExists', 'StringNotLike'])
    conditions[operator] = { 'sts:ExternalId': oneOrMore(random, [...externalIds, 'acct@*', 'acct*', '*@write']) }
  }
  if (random.chance(0.25)) {
    conditions['ForAllValues:StringEquals'] = { 'aws:TagKeys': oneOrMore(random, ['run', 'stack']) }
  }
  if (random.chance(0.2)) conditions['ArnLike'] = { 'aws:PrincipalArn': oneOrMore(random, arnPatterns) }
  if (random.chance(0.2)) {
    const part = conditionsOf(random, 1)
    for (const [operator, block] of Object.entries(part.conditions)) conditions[operator] ??= block
    for (const [key, value] of Object.entries(part.context)) context[key] ??= value
  }
  return conditions
}

function trustCase (random: Random): Case {
  const action = random.chance(0.8) ? 'sts:AssumeRole' : random.pick(trustActions)
  const principal = random.pick(callers)
  const context: Record<string, string | string[]> = {}
  if (action === 'sts:AssumeRole' && random.chance(0.7)) context['sts:ExternalId'] = random.pick(externalIds)
  if (random.chance(0.3)) context['aws:TagKeys'] = random.some(['run', 'stack', 'other'], 2)
  if (random.chance(0.7)) context['aws:PrincipalArn'] = random.pick(arns)
  const statements = Array.from({ length: 1 + random.below(3) }, (): StatementJson => ({
    Effect: random.chance(0.8) ? 'Allow' : 'Deny',
    Principal: random.chance(0.06) ? '*' : { AWS: oneOrMore(random, trusted) },
    [random.chance(0.93) ? 'Action' : 'NotAction']: oneOrMore(random, random.chance(0.6) ? ['sts:AssumeRole'] : trustActions),
    ...(random.chance(0.6) ? { Condition: trustConditions(random, context) } : {})
  }))
  const callerPolicy: PolicyJson = {
    Version: '2012-10-17',
    Statement: [{
      Effect: random.chance(0.9) ? 'Allow' : 'Deny',
      Action: random.pick(['sts:AssumeRole', 'sts:*', '*', 'ec2:*', 'sts:TagSession']),
      Resource: random.pick([role, '*', 'arn:aws:iam::*:role/*', `arn:aws:iam::${other}:role/*`])
    }]
  }
  const limit = (): PolicyJson | null => random.chance(0.8) ? null : {
    Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: random.pick(['*', 's3:*']), Resource: '*' }]
  }
  return {
    kind: 'trust',
    action,
    resource: role,
    account: home,
    principal,
    context,
    identity: random.chance(0.65) ? [callerPolicy] : [],
    boundary: limit(),
    session: principal.includes(':user/') ? null : limit(),
    trust: { Version: '2012-10-17', Statement: statements }
  }
}

/** The next random case: conditions, identity policies, boundary and session policies, or trust. */
export function generateCase (random: Random): Case {
  const choice = random.below(10)
  if (choice < 4) return conditionCase(random)
  if (choice < 6) return identityCase(random, false)
  return choice < 8 ? identityCase(random, true) : trustCase(random)
}
