import { arnCondition } from './arn.ts'
import type { RequestContext } from './context.ts'
import { foldGlob, foldText, matchesGlob } from './glob.ts'
import { binaryTest, boolTest, dateTest, ipTest, numberTest } from './scalars.ts'
import { fillTemplate, isFixed, parseTemplate } from './template.ts'

/** One key under one operator, with its values as written, and whether it holds for a request. */
export interface ConditionEntry {
  readonly operator: string
  readonly key: string
  readonly values: readonly string[]
  readonly holds: (context: RequestContext) => boolean
}

/** Whether a request's value agrees with a policy's; null: one of the two cannot be read. */
type Test = (actual: string, context: RequestContext) => boolean | null
type TestFactory = (expected: string, variables: boolean) => Test

const positive: Readonly<Record<string, TestFactory>> = {
  StringEquals: textTest({ wildcards: false, ignoreCase: false }),
  StringEqualsIgnoreCase: textTest({ wildcards: false, ignoreCase: true }),
  StringLike: textTest({ wildcards: true, ignoreCase: false }),
  NumericEquals: numberTest((actual, expected) => actual === expected),
  NumericLessThan: numberTest((actual, expected) => actual < expected),
  NumericLessThanEquals: numberTest((actual, expected) => actual <= expected),
  NumericGreaterThan: numberTest((actual, expected) => actual > expected),
  NumericGreaterThanEquals: numberTest((actual, expected) => actual >= expected),
  DateEquals: dateTest((actual, expected) => actual === expected),
  DateLessThan: dateTest((actual, expected) => actual < expected),
  DateLessThanEquals: dateTest((actual, expected) => actual <= expected),
  DateGreaterThan: dateTest((actual, expected) => actual > expected),
  DateGreaterThanEquals: dateTest((actual, expected) => actual >= expected),
  Bool: boolTest,
  BinaryEquals: binaryTest,
  IpAddress: ipTest,
  ArnEquals: arnCondition,
  ArnLike: arnCondition
}

const negated: Readonly<Record<string, string>> = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  NumericNotEquals: 'NumericEquals',
  DateNotEquals: 'DateEquals',
  NotIpAddress: 'IpAddress',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike'
}

function textTest (options: { wildcards: boolean, ignoreCase: boolean }): TestFactory {
  const fold = options.ignoreCase ? foldText : (text: string) => text
  return (expected, variables) => {
    const template = parseTemplate(expected, variables)
    const fill = (context: RequestContext) => {
      const glob = fillTemplate(template, context, options.wildcards)
      return glob !== null && options.ignoreCase ? foldGlob(glob) : glob
    }
    const fixed = isFixed(template) ? fill(new Map()) : null
    return (actual, context) => {
      const glob = fixed ?? fill(context)
      return glob !== null && matchesGlob(glob, fold(actual))
    }
  }
}

interface Operator {
  readonly name: string
  readonly quantifier: 'ForAllValues' | 'ForAnyValue' | null
  readonly ifExists: boolean
}

const operatorPattern = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/

/** Reads an operator's name with its prefix and suffix. null: AWS has no such operator. */
export function findOperator (text: string): Operator | null {
  const match = operatorPattern.exec(text)
  const name = match?.[2] ?? ''
  const ifExists = match?.[3] !== undefined
  const known = Object.hasOwn(positive, name) || Object.hasOwn(negated, name)
  if (!known && (name !== 'Null' || ifExists)) return null
  const prefix = match?.[1]
  const quantifier = prefix === 'ForAllValues' || prefix === 'ForAnyValue' ? prefix : null
  return { name, quantifier, ifExists }
}

/** A test of one key. `variables`: the document is of version 2012-10-17. */
export function compileCondition (
  operator: Operator, key: string, values: readonly string[], variables: boolean
): (context: RequestContext) => boolean {
  const contextKey = key.toLowerCase()
  if (operator.name === 'Null') {
    const wanted = new Set(values.map((value) => value.toLowerCase()))
    return (context) => wanted.has(String((context.get(contextKey) ?? []).length === 0))
  }
  const isNegated = Object.hasOwn(negated, operator.name)
  const factory = positive[negated[operator.name] ?? operator.name]
  const tests = values.flatMap((value) => factory === undefined ? [] : [factory(value, variables)])
  const agrees = (actual: string, context: RequestContext) => isNegated
    ? tests.every((test) => test(actual, context) === false)
    : tests.some((test) => test(actual, context) === true)
  return (context) => {
    const actual = context.get(contextKey) ?? []
    return quantify(operator, isNegated, actual, (value) => agrees(value, context))
  }
}

/**
 * AWS: condition operators, multivalued keys. An absent key fails, unless the operator is negated
 * or ends in IfExists; several values need a set operator; nothing but empty values is no value.
 */
function quantify (
  operator: Operator,
  isNegated: boolean,
  actual: readonly string[],
  agrees: (value: string) => boolean
): boolean {
  if (operator.quantifier === 'ForAllValues') {
    return actual.every((value) => value === '') || actual.every(agrees)
  }
  if (actual.length === 0) {
    return operator.ifExists || (isNegated && operator.quantifier === null)
  }
  if (operator.quantifier === 'ForAnyValue') {
    return !actual.every((value) => value === '') && actual.some(agrees)
  }
  const [only] = actual
  return actual.length === 1 && only !== undefined && agrees(only)
}

/** Whether all conditions of a statement hold for the request. */
export function conditionsHold (
  conditions: readonly ConditionEntry[], context: RequestContext
): boolean {
  return conditions.every((condition) => condition.holds(context))
}
