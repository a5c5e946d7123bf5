import { resourceTest } from './arn.ts'
import { compileCondition, findOperator, type ConditionEntry } from './conditions.ts'
import type { RequestContext } from './context.ts'
import { findObject, findStrings, refuse, type PolicyKind } from './grammar.ts'
import { foldGlob, foldText, globOf, matchesGlob } from './glob.ts'
import { parsePrincipal, type PrincipalEntry } from './principal.ts'
import { PolicyError } from './policy-error.ts'
import { checkResource } from './resource-grammar.ts'
import { findInstantMs } from './scalars.ts'

/** One statement, read and compiled. The tests answer for Action and Resource, or their opposites. */
export interface Statement {
  readonly sid: string | null
  readonly effect: 'Allow' | 'Deny'
  readonly actions: readonly string[]
  readonly notAction: boolean
  readonly resources: readonly string[]
  readonly notResource: boolean
  readonly principals: readonly PrincipalEntry[]
  readonly conditions: readonly ConditionEntry[]
  readonly coversAction: (action: string) => boolean
  readonly coversResource: (resource: string, context: RequestContext) => boolean
}

type Fields = Readonly<Record<string, unknown>>

const elements = new Set([
  'Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource',
  'Condition'
])

/** Reads one statement; `variables` says whether the document's version knows policy variables. */
export function parseStatement (value: unknown, kind: PolicyKind, variables: boolean): Statement {
  const fields = findObject(value) ?? refuse(kind, 'Syntax errors in policy.')
  checkFields(fields, kind)
  const { Sid: sid, Effect: effect } = fields
  if (sid !== undefined && typeof sid !== 'string') refuse(kind, 'Syntax errors in policy.')
  const conditions = parseConditions(fields['Condition'], kind, variables)
  const actions = parseList(fields, 'Action', kind)
  const resources = parseList(fields, 'Resource', kind)
  const read = {
    sid: typeof sid === 'string' ? sid : null,
    effect: parseEffect(effect, kind),
    principals: kind === 'trust' ? parsePrincipal(fields['Principal']) : [],
    conditions
  }
  checkActions(actions.values, kind)
  if (kind !== 'trust') checkResources(resources.values)
  return {
    ...read,
    actions: actions.values,
    notAction: actions.not,
    resources: resources.values,
    notResource: resources.not,
    coversAction: compileActions(actions),
    coversResource: kind === 'trust' ? () => true : compileResources(resources, variables)
  }
}

function checkFields (fields: Fields, kind: PolicyKind): void {
  for (const name of Object.keys(fields)) {
    if (!elements.has(name)) refuse(kind, `Unknown field ${name}`)
  }
  if (fields['Action'] !== undefined && fields['NotAction'] !== undefined) {
    refuse(kind, 'Syntax errors in policy.')
  }
  if (kind === 'trust') {
    if (fields['NotPrincipal'] !== undefined) {
      throw new PolicyError('AssumeRole policy must not contain NotPrincipal field.')
    }
    if (fields['Resource'] !== undefined) throw new PolicyError('Has prohibited field Resource')
    if (fields['NotResource'] !== undefined) {
      throw new PolicyError('AssumeRole policy must not contain resources.')
    }
    return
  }
  if (fields['Principal'] !== undefined || fields['NotPrincipal'] !== undefined) {
    throw new PolicyError(kind === 'identity'
      ? 'Policy document should not specify a principal.'
      : 'Has prohibited field Principal')
  }
  if (fields['Resource'] !== undefined && fields['NotResource'] !== undefined) {
    refuse(kind, 'Syntax errors in policy.')
  }
}

function parseEffect (effect: unknown, kind: PolicyKind): 'Allow' | 'Deny' {
  if (effect === 'Allow' || effect === 'Deny') return effect
  if (effect === undefined) return refuse(kind, 'Missing required field Effect')
  const nearly = typeof effect === 'string' && /^(?:allow|deny)$/i.test(effect)
  if (kind === 'identity' && nearly) throw new PolicyError('The policy failed legacy parsing')
  return refuse(kind, `Invalid effect: ${typeof effect === 'string' ? effect : typeof effect}`)
}

interface List {
  readonly values: readonly string[]
  readonly not: boolean
}

function parseList (fields: Fields, name: 'Action' | 'Resource', kind: PolicyKind): List {
  const not = fields[`Not${name}`] !== undefined
  const written = not ? fields[`Not${name}`] : fields[name]
  if (name === 'Resource' && kind === 'trust') return { values: [], not }
  const values = written === undefined
    ? []
    : findStrings(written) ?? refuse(kind, 'Syntax errors in policy.')
  if (values.length === 0) {
    throw new PolicyError(kind === 'identity'
      ? `Policy statement must contain ${name.toLowerCase()}s.`
      : `Missing required field ${name}`)
  }
  return { values, not }
}

function checkActions (actions: readonly string[], kind: PolicyKind): void {
  for (const action of actions) {
    const [vendor = '', name] = action.split(':')
    if (kind === 'trust' && vendor.toLowerCase() !== 'sts') {
      throw new PolicyError('AssumeRole policy may only specify STS AssumeRole actions.')
    }
    if (action === '*') continue
    if (name === undefined) {
      throw new PolicyError(
        'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.'
      )
    }
    if (action.split(':').length > 2) {
      throw new PolicyError('Actions/Condition can contain only one colon.')
    }
    if (!/^[A-Za-z0-9.-]+$/.test(vendor)) throw new PolicyError(`Vendor ${vendor} is not valid`)
  }
}

function checkResources (resources: readonly string[]): void {
  for (const resource of resources) checkResource(resource)
}

function compileActions ({ values, not }: List): (action: string) => boolean {
  const globs = values.map((value) => foldGlob(globOf(value, true)))
  return (action) => {
    const folded = foldText(action)
    return globs.some((glob) => matchesGlob(glob, folded)) !== not
  }
}

function compileResources ({ values, not }: List, variables: boolean) {
  const tests = values.map((value) => resourceTest(value, variables))
  return (resource: string, context: RequestContext) =>
    tests.some((test) => test(resource, context)) !== not
}

function parseConditions (
  value: unknown, kind: PolicyKind, variables: boolean
): readonly ConditionEntry[] {
  if (value === undefined) return []
  const byOperator = findObject(value) ?? refuse(kind, 'Syntax errors in policy.')
  return Object.entries(byOperator).flatMap(([name, block]) => {
    const byKey = findObject(block) ?? refuse(kind, 'Syntax errors in policy.')
    return Object.entries(byKey).map(([key, written]) => {
      const operator = findOperator(name) ?? refuse(kind, `Invalid Condition type : ${name}`)
      const values = parseValues(written, kind)
      if (operator.name.startsWith('Date')) checkDates(values)
      const holds = compileCondition(operator, key, values, variables)
      return { operator: name, key, values, holds }
    })
  })
}

function parseValues (written: unknown, kind: PolicyKind): readonly string[] {
  const list: readonly unknown[] = Array.isArray(written) ? written : [written]
  return list.map((value) => {
    if (typeof value === 'string') return value
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    return refuse(kind, 'Syntax errors in policy.')
  })
}

function checkDates (values: readonly string[]): void {
  if (values.some((value) => findInstantMs(value) === null)) {
    throw new PolicyError('The policy failed legacy parsing')
  }
}
