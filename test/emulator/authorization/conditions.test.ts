import t from 'tap'
import { decide } from '../../../src/emulator/authorization/evaluate.ts'
import { contextOf, policyOf } from './policies.ts'

type Keys = Readonly<Record<string, string | readonly string[]>>

/** Whether a statement with this one condition applies. */
function holds (operator: string, key: string, expected: unknown, keys: Keys): boolean {
  const statement = { Effect: 'Allow', Action: '*', Resource: '*', Condition: { [operator]: { [key]: expected } } }
  return decide({
    action: 'ec2:DescribeVpcs',
    resource: '*',
    context: contextOf(keys),
    identity: [policyOf('identity', statement)],
    boundary: null,
    session: null
  }).allowed
}

const one = (operator: string, expected: unknown, actual?: string): boolean =>
  holds(operator, 'aws:x', expected, actual === undefined ? {} : { 'aws:x': actual })

t.test('string operators compare as AWS documents them', async (t) => {
  t.ok(one('StringEquals', 'a', 'a'))
  t.notOk(one('StringEquals', 'a', 'A'))
  t.notOk(one('StringEquals', 'a*', 'ab'), 'no wildcards in StringEquals')
  t.ok(one('StringEquals', 'a*', 'a*'))
  t.ok(one('StringEquals', ['b', 'a'], 'a'), 'several values are alternatives')
  t.ok(one('StringNotEquals', ['b', 'c'], 'a'))
  t.notOk(one('StringNotEquals', ['b', 'a'], 'a'), 'a negated operator must differ from every value')
  t.ok(one('StringEqualsIgnoreCase', 'aBc', 'AbC'))
  t.notOk(one('StringNotEqualsIgnoreCase', 'aBc', 'AbC'))
  t.ok(one('StringLike', 'a?c*', 'abcdef'))
  t.notOk(one('StringLike', 'a?c', 'ac'))
  t.notOk(one('StringNotLike', 'a*', 'abc'))
  t.ok(one('StringLike', 'acct@*@stack-a@*', 'acct@i@evil@stack-a@write'), '`*` crosses any character')
})

t.test('numbers, dates, booleans and binary values compare by meaning', async (t) => {
  t.ok(one('NumericEquals', '5', '5.0'))
  t.ok(one('NumericEquals', 5, '5'))
  t.ok(one('NumericLessThan', '10', '9'))
  t.notOk(one('NumericLessThan', '10', '10'))
  t.ok(one('NumericLessThanEquals', '10', '10'))
  t.ok(one('NumericGreaterThan', '-3', '0'))
  t.ok(one('NumericGreaterThanEquals', '1e3', '1000'))
  t.ok(one('NumericNotEquals', '1', '2'))
  t.notOk(one('NumericNotEquals', '1', 'many'), 'what is no number differs from nothing')
  t.ok(one('DateEquals', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00+01:00'))
  t.ok(one('DateLessThan', '2026-01-01', '2025-12-31T23:59:59.999Z'))
  t.ok(one('DateLessThanEquals', '1767225600', '2026-01-01T00:00:00Z'))
  t.ok(one('DateGreaterThan', '2026', '1767225601'))
  t.ok(one('DateGreaterThanEquals', '2026-01', '2026-01-01T00:00:00Z'))
  t.notOk(one('DateNotEquals', '2026-01-01', 'yesterday'))
  t.ok(one('Bool', true, 'TRUE'))
  t.notOk(one('Bool', 'true', 'false'))
  t.notOk(one('Bool', 'yes', 'yes'))
  t.ok(one('BinaryEquals', 'QUJD', 'QUJD'))
  t.notOk(one('BinaryEquals', 'QUJD', 'QUJE'))
})

t.test('addresses match ranges of their own family', async (t) => {
  t.ok(one('IpAddress', '10.0.0.0/8', '10.255.0.1'))
  t.ok(one('IpAddress', '10.0.0.1', '10.0.0.1'))
  t.ok(one('IpAddress', '0.0.0.0/0', '192.0.2.1'))
  t.notOk(one('IpAddress', '0.0.0.0/0', '2001:db8::1'))
  t.ok(one('IpAddress', ['10.0.0.0/8', '2001:db8::/32'], '2001:DB8:0::1'))
  t.ok(one('NotIpAddress', '10.0.0.0/8', '192.0.2.1'))
  t.ok(one('NotIpAddress', '10.0.0.1', '2001:db8::1'))
  t.notOk(one('NotIpAddress', '10.0.0.0/33', '192.0.2.1'), 'a range that is none')
  t.notOk(one('IpAddress', '10.0.0.0/8', 'nowhere'))
})

t.test('ARN operators match each of the six parts by itself', async (t) => {
  const role = 'arn:aws:iam::111111111111:role/team/Ops'
  for (const operator of ['ArnEquals', 'ArnLike']) {
    t.ok(one(operator, role, role))
    t.ok(one(operator, 'arn:aws:iam::*:role/*', role))
    t.ok(one(operator, 'arn:*:iam::?11111111111:role/t*/O?s', role))
    t.notOk(one(operator, 'arn:aws:*:role/team/Ops', role), 'a wildcard stays within its part')
    t.notOk(one(operator, '*', role))
    t.ok(one(operator, 'arn:aws:sns:*:*:topic:*', 'arn:aws:sns:eu-west-1:1:topic:a:b'), 'the last part keeps its colons')
  }
  t.ok(one('ArnNotLike', 'arn:aws:iam::*:user/*', role))
  t.notOk(one('ArnNotEquals', 'arn:aws:iam::*:role/*', role))
  t.notOk(one('ArnNotEquals', 'arn:aws:iam::*:role/*', 'nonsense'))
})

t.test('an absent key fails, unless the operator is negated or ends in IfExists', async (t) => {
  for (const operator of ['StringEquals', 'StringLike', 'NumericLessThan', 'DateLessThan', 'Bool', 'BinaryEquals', 'IpAddress', 'ArnLike']) {
    const value = { DateLessThan: '2026-01-01', Bool: 'true', NumericLessThan: '1' }[operator] ?? 'x'
    t.notOk(one(operator, value), operator)
    t.ok(one(`${operator}IfExists`, value), `${operator}IfExists`)
    t.notOk(one(`${operator}IfExists`, value, 'something else'), `${operator}IfExists, present`)
  }
  for (const operator of ['StringNotEquals', 'StringNotLike', 'NumericNotEquals', 'NotIpAddress', 'ArnNotLike']) {
    t.ok(one(operator, '1'), operator)
  }
  t.ok(one('Null', 'true'))
  t.notOk(one('Null', 'false'))
  t.ok(one('Null', 'false', ''))
})

t.test('an external id that is missing does not match one that is asked for', async (t) => {
  t.notOk(holds('StringEquals', 'sts:ExternalId', 'secret', {}))
  t.notOk(holds('StringEquals', 'sts:ExternalId', 'secret', { 'sts:ExternalId': 'Secret' }))
  t.ok(holds('StringEquals', 'sts:ExternalId', 'secret', { 'STS:externalid': 'secret' }), 'the key in any case')
})

t.test('ForAllValues asks that every value of the request matches, ForAnyValue that one does', async (t) => {
  const tags = (operator: string, expected: unknown, ...actual: string[]): boolean =>
    holds(operator, 'aws:TagKeys', expected, { 'aws:TagKeys': actual })
  t.ok(tags('ForAllValues:StringEquals', ['run', 'stack'], 'stack', 'run'))
  t.notOk(tags('ForAllValues:StringEquals', ['run', 'stack'], 'stack', 'other'))
  t.ok(tags('ForAllValues:StringEquals', 'run'), 'no values at all')
  t.ok(tags('ForAllValues:StringEquals', 'run', ''), 'an empty string is no value')
  t.ok(tags('ForAnyValue:StringLike', 'r*', 'other', 'run'))
  t.notOk(tags('ForAnyValue:StringEquals', 'run'))
  t.notOk(tags('ForAnyValue:StringEquals', '', ''))
  t.ok(tags('ForAnyValue:StringEqualsIfExists', 'run'))
  t.ok(tags('ForAllValues:StringNotEquals', ['a', 'b'], 'c', 'd'))
  t.notOk(tags('ForAllValues:StringNotEquals', ['a', 'b'], 'c', 'a'))
  t.ok(tags('ForAnyValue:StringNotEquals', ['a', 'b'], 'a', 'd'))
  t.notOk(tags('ForAnyValue:StringNotEquals', 'a'), 'no values at all')
  t.notOk(tags('StringEquals', 'run', 'run', 'stack'), 'several values need a set operator')
  t.notOk(tags('StringNotEquals', 'other', 'run', 'stack'))
})

t.test('all keys and all operators of a statement must hold', async (t) => {
  const statement = {
    Effect: 'Allow',
    Action: '*',
    Resource: '*',
    Condition: { StringEquals: { 'aws:a': '1', 'aws:b': '2' }, Bool: { 'aws:c': 'true' } }
  }
  const allowed = (keys: Keys): boolean => decide({
    action: 's3:GetObject', resource: '*', context: contextOf(keys), identity: [policyOf('identity', statement)], boundary: null, session: null
  }).allowed
  t.ok(allowed({ 'aws:a': '1', 'aws:b': '2', 'aws:c': 'true' }))
  t.notOk(allowed({ 'aws:a': '1', 'aws:b': '2', 'aws:c': 'false' }))
  t.notOk(allowed({ 'aws:a': '1', 'aws:b': '3', 'aws:c': 'true' }))
})

t.test('a policy variable stands for the value of its key and nothing more', async (t) => {
  const variable = (operator: string, expected: unknown, keys: Keys): boolean => holds(operator, 'aws:userid', expected, { 'aws:userid': 'ann', ...keys })
  t.ok(variable('StringEquals', '${aws:username}', { 'aws:username': 'ann' }))
  t.ok(variable('StringEquals', '${AWS:UserName}', { 'aws:username': 'ann' }), 'the key in any case')
  t.ok(variable('StringLike', '${aws:PrincipalTag/team}*', { 'aws:PrincipalTag/team': 'a' }))
  t.notOk(variable('StringLike', '${aws:username}', { 'aws:username': '*' }), 'a value is never a wildcard')
  t.ok(variable('StringEquals', '${aws:username, \'ann\'}', {}), 'the default of an absent key')
  t.notOk(variable('StringEquals', '${aws:username, \'ann\'}', { 'aws:username': 'bob' }))
  t.notOk(variable('StringEquals', '${aws:username}', {}), 'no value equals nothing')
  t.notOk(variable('StringLike', '*${aws:username}*', {}))
  t.ok(variable('StringNotEquals', '${aws:username}', {}), 'and differs from everything')
  t.notOk(variable('StringEquals', '${aws:TagKeys}', { 'aws:TagKeys': ['ann', 'bob'] }), 'several values are no value')
  t.ok(holds('StringLike', 'aws:x', 'a${*}b*', { 'aws:x': 'a*bc' }))
  t.notOk(holds('StringLike', 'aws:x', 'a${*}b*', { 'aws:x': 'axbc' }))
  t.ok(holds('StringEquals', 'aws:x', '${$}{${?}', { 'aws:x': '${?' }))
  t.ok(holds('ArnEquals', 'aws:SourceArn', '${aws:PrincipalArn}', {
    'aws:SourceArn': 'arn:aws:iam::1:role/x', 'aws:PrincipalArn': 'arn:aws:iam::1:role/x'
  }))
  t.notOk(holds('NumericEquals', 'aws:x', '${aws:y}', { 'aws:x': '5', 'aws:y': '5' }), 'no variables in numbers')
})
