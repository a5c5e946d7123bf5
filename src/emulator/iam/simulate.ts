import { invalid, noSuchEntity } from '../aws-error.ts'
import { parsePolicyDocument, type PolicyDocument } from '../authorization/document.ts'
import { decide, type RequestContext } from '../authorization/evaluate.ts'
import type { Answer, Operations } from '../call.ts'
import { hasList, readList, readTexts, type Params } from '../http/params.ts'
import type { HeldPolicies } from '../judge.ts'
import type { Group, Role, User } from '../state/records.ts'
import type { Account } from '../state/world.ts'
import { createProblems, type Problems } from '../validation.ts'
import { readPage, rules, type Page } from './rules.ts'
import type { IamParts } from './parts.ts'

const actionsMax = 100

/**
 * SimulatePrincipalPolicy and SimulateCustomPolicy: what the policies of a user, group or role,
 * or of the request, say with the context that is given.
 */
export function createSimulation ({ judge }: IamParts): Operations {
  return {
    SimulatePrincipalPolicy (call) {
      const { params, caller: { account }, region } = call
      const problems = createProblems()
      const source = problems.required(params, 'PolicySourceArn', rules.arn)
      const questions = readQuestions(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:SimulatePrincipalPolicy', source)
      const { identity, boundary } = judge.policiesOf(account, readHolder(account, source), region)
      const more = readPolicies(params, 'PolicyInputList.member')
      return answer(questions, { identity: [...identity, ...more], boundary })
    },

    SimulateCustomPolicy (call) {
      const { params } = call
      const problems = createProblems()
      const questions = readQuestions(params, problems)
      if (!hasList(params, 'PolicyInputList.member')) problems.add(null, 'policyInputList', 'Member must not be null')
      problems.throwIfAny()
      judge.authorize(call, 'iam:SimulateCustomPolicy', '*')
      const boundary = readPolicies(params, 'PermissionsBoundaryPolicyInputList.member')
      return answer(questions, {
        identity: readPolicies(params, 'PolicyInputList.member'), boundary: boundary.length === 0 ? null : boundary
      })
    }
  }
}

interface Questions {
  readonly asked: readonly { readonly action: string, readonly resource: string }[]
  readonly fields: Page<unknown>['fields']
  readonly context: RequestContext
}

function readQuestions (params: Params, problems: Problems): Questions {
  const actions = readTexts(params, 'ActionNames.member')
  if (actions.length === 0) problems.add(null, 'actionNames', 'Member must not be null')
  problems.count(actions.length, actionsMax, 'actionNames')
  const resources = readTexts(params, 'ResourceArns.member')
  problems.count(resources.length, actionsMax, 'resourceArns')
  const page = readPage(params, problems)
  const { items, fields } = page(actions.flatMap((action) =>
    (resources.length === 0 ? ['*'] : resources).map((resource) => ({ action, resource }))))
  const context = new Map(readList(params, 'ContextEntries.member').map((entry) =>
    [(entry.get('.ContextKeyName') ?? '').toLowerCase(), readTexts(entry, '.ContextKeyValues.member')] as const))
  return { asked: items, fields, context }
}

/** @throws PolicyError MalformedPolicyDocument. */
function readPolicies (params: Params, name: string): readonly PolicyDocument[] {
  return readTexts(params, name).map((text) => parsePolicyDocument(text, 'identity'))
}

function answer ({ asked, fields, context }: Questions, policies: HeldPolicies): Answer {
  return {
    result: {
      EvaluationResults: asked.map(({ action, resource }) => {
        const { allowed, explicitDenyBy } = decide({ action, resource, context, session: null, ...policies })
        const refused = explicitDenyBy === null ? 'implicitDeny' : 'explicitDeny'
        return {
          EvalActionName: action,
          EvalResourceName: resource,
          EvalDecision: allowed ? 'allowed' : refused,
          MatchedStatements: [],
          MissingContextValues: []
        }
      }),
      ...fields
    }
  }
}

/** @throws AwsError ValidationError, NoSuchEntity. */
function readHolder ({ users, groups, roles }: Account, arn: string): User | Group | Role {
  const [, kind, name = ''] = /^arn:aws:iam::\d{12}:(user|group|role)\/(?:.*\/)?([^/]+)$/.exec(arn) ?? []
  if (kind === undefined) {
    throw invalid(`Invalid Entity Arn: ${arn} does not clearly define entity type and name.`)
  }
  const found = kind === 'user' ? users.find(name) : kind === 'group' ? groups.find(name) : roles.find(name)
  if (found?.arn !== arn) throw noSuchEntity(`The ${kind} with name ${name} cannot be found.`)
  return found
}
