import { isIP } from 'node:net'
import type { Case, Conditions, PolicyJson, StatementJson } from './case.ts'
import type { Verdict } from './evaluators.ts'

/** A difference between the two evaluators that AWS's documents settle, or leave open; see README. */
export interface KnownDifference {
  readonly name: string
  /** Whether a random case touches it, so that the two may differ. */
  readonly touches: (test: Case) => boolean
  /** The smallest case that shows it, and what each evaluator says to it. */
  readonly example: Case
  readonly ours: Verdict
  readonly theirs: Verdict
}

interface Condition {
  readonly operator: string
  readonly key: string
  readonly values: readonly string[]
}

function listOf (value: string | readonly string[] | undefined): readonly string[] {
  return typeof value === 'string' ? [value] : value ?? []
}

function statementsOf (test: Case): StatementJson[] {
  const policies = [...test.identity, test.boundary, test.session, test.trust]
  return policies.flatMap((policy) => policy?.Statement ?? [])
}

function conditionsOf (test: Case): Condition[] {
  return statementsOf(test).flatMap(({ Condition: conditions = {} }) => Object.entries(conditions)
    .flatMap(([operator, block]) => Object.entries(block)
      .map(([key, value]) => ({ operator, key, values: listOf(value) }))))
}

function valuesIn (test: Case, key: string): readonly string[] {
  const entry = Object.entries(test.context).find(([name]) => name.toLowerCase() === key.toLowerCase())
  return listOf(entry?.[1])
}

function variablesIn (text: string): { key: string, hasDefault: boolean }[] {
  return [...text.matchAll(/\$\{([^}*?$]+)\}/g)].map(([, name = '']) => ({
    key: name.split(', ')[0] ?? '', hasDefault: name.includes(', ')
  }))
}

function hasUnresolved (test: Case, texts: readonly string[]): boolean {
  return texts.flatMap(variablesIn).some(({ key, hasDefault }) =>
    !hasDefault && valuesIn(test, key).every((value) => value === ''))
}

function identityCase (conditions: Conditions, context: Case['context']): Case {
  return caseWith({ Effect: 'Allow', Action: '*', Resource: '*', Condition: conditions }, context)
}

const caller = 'arn:aws:sts::111111111111:assumed-role/Ops/run-1'

function caseWith (statement: StatementJson, context: Case['context'] = {}, rest: Partial<Case> = {}): Case {
  return {
    kind: 'condition',
    action: 's3:GetObject',
    resource: 'arn:aws:s3:::bucket/key',
    account: '111111111111',
    principal: caller,
    context,
    identity: [{ Version: '2012-10-17', Statement: [statement] }],
    boundary: null,
    session: null,
    trust: null,
    ...rest
  }
}

function trustCase (principal: NonNullable<StatementJson['Principal']>, session: PolicyJson): Case {
  return caseWith({ Effect: 'Allow', Action: 's3:*', Resource: '*' }, {}, {
    kind: 'trust',
    action: 'sts:AssumeRole',
    resource: 'arn:aws:iam::111111111111:role/Target',
    session,
    trust: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: principal, Action: 'sts:AssumeRole' }] }
  })
}

const s3Only: PolicyJson = {
  Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }]
}
const never = (): boolean => false

/** Every difference that is known. One that random cases cannot reach has `touches: never`. */
export const knownDifferences: readonly KnownDifference[] = [
  {
    name: 'a negated operator against a variable without a value',
    touches: (test) => conditionsOf(test).some(({ operator, values }) =>
      /Not(?:Equals|Like)/.test(operator) && hasUnresolved(test, values)),
    example: identityCase({ StringNotEquals: { 'aws:userid': '${aws:username}' } }, { 'aws:userid': 'x' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'NotResource with a variable without a value',
    touches: (test) => statementsOf(test).some(({ NotResource: resources }) => hasUnresolved(test, listOf(resources))),
    example: caseWith({ Effect: 'Allow', Action: '*', NotResource: 'arn:aws:s3:::${aws:username}/*' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'ForAnyValue with IfExists and an absent key',
    touches: (test) => conditionsOf(test).some(({ operator, key }) =>
      /^ForAnyValue:.*IfExists$/.test(operator) && valuesIn(test, key).length === 0),
    example: identityCase({ 'ForAnyValue:StringEqualsIfExists': { 'aws:TagKeys': 'a' } }, {}),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'a set operator on nothing but an empty string',
    touches: (test) => conditionsOf(test).some(({ operator, key }) =>
      operator.startsWith('For') && valuesIn(test, key).length > 0 && valuesIn(test, key).every((value) => value === '')),
    example: identityCase({ 'ForAllValues:StringEquals': { 'aws:TagKeys': 'a' } }, { 'aws:TagKeys': [''] }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'NotIpAddress with a bare address of the other family',
    touches: (test) => conditionsOf(test).some(({ operator, key, values }) => operator.startsWith('NotIpAddress') &&
      values.some((range) => isIP(range) > 0 && valuesIn(test, key).some((actual) => isIP(actual) !== isIP(range)))),
    example: identityCase({ NotIpAddress: { 'aws:SourceIp': '10.0.0.1' } }, { 'aws:SourceIp': '2001:db8::1' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'the range 0.0.0.0/0',
    touches: (test) => conditionsOf(test).some(({ key, values }) =>
      values.includes('0.0.0.0/0') && valuesIn(test, key).length > 0),
    example: identityCase({ IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } }, { 'aws:SourceIp': '192.0.2.1' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'a session policy and a trust policy that names the session',
    touches: (test) => test.session !== null && test.trust !== null && test.trust.Statement
      .some(({ Principal: principal }) => typeof principal === 'object' && listOf(principal['AWS']).includes(test.principal)),
    example: trustCase({ AWS: caller }, s3Only),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'a session policy and a trust policy that names everyone',
    touches: (test) => test.session !== null && test.trust !== null && test.trust.Statement
      .some(({ Principal: principal }) => principal === '*' ||
        (typeof principal === 'object' && listOf(principal['AWS']).includes('*'))),
    example: trustCase('*', s3Only),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'seconds since 1970 in a policy against a date in the request',
    touches: never,
    example: identityCase({ DateLessThan: { 'aws:CurrentTime': '1767225600' } }, { 'aws:CurrentTime': '2025-12-31T23:59:59Z' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'a date that is only a year',
    touches: never,
    example: identityCase({ DateLessThan: { 'aws:CurrentTime': '2026' } }, { 'aws:CurrentTime': '2025-12-31T23:59:59Z' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'the special variables in an operator without wildcards',
    touches: (test) => conditionsOf(test).some(({ operator, values }) =>
      /String(?:Not)?Equals/.test(operator) && values.some((value) => /\$\{[*?$]\}/.test(value))),
    example: identityCase({ StringEquals: { 'aws:userid': 'a${$}${*}${?}' } }, { 'aws:userid': 'a$*?' }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'an ARN operator whose value is one variable',
    touches: never,
    example: identityCase({ ArnEquals: { 'aws:SourceArn': '${aws:PrincipalArn}' } }, {
      'aws:SourceArn': 'arn:aws:iam::111111111111:role/Ops', 'aws:PrincipalArn': 'arn:aws:iam::111111111111:role/Ops'
    }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'a key of several values that has one, without a set operator',
    touches: never,
    example: identityCase({ StringEquals: { 'aws:TagKeys': 'a' } }, { 'aws:TagKeys': ['a'] }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'Null on a key with an empty list',
    touches: never,
    example: identityCase({ Null: { 'aws:TagKeys': 'true' } }, { 'aws:TagKeys': [] }),
    ours: 'allowed',
    theirs: 'denied'
  },
  {
    name: 'an operator in small letters',
    touches: never,
    example: identityCase({ stringequals: { 'aws:userid': 'x' } }, { 'aws:userid': 'x' }),
    ours: 'refused',
    theirs: 'allowed'
  },
  {
    name: 'IfExists after Null',
    touches: never,
    example: identityCase({ NullIfExists: { 'aws:userid': 'false' } }, { 'aws:userid': 'x' }),
    ours: 'refused',
    theirs: 'allowed'
  },
  {
    name: 'a wildcard in the service of a Resource',
    touches: never,
    example: caseWith({ Effect: 'Allow', Action: '*', Resource: 'arn:aws:*:::bucket/key' }),
    ours: 'refused',
    theirs: 'allowed'
  }
]
