import { invalid, noSuchEntity } from '../aws-error.ts'
import { decide } from '../authorization/evaluate.ts'
import type { Operations } from '../call.ts'
import { readList, readTexts } from '../http/params.ts'
import type { Group, Role, User } from '../state/records.ts'
import type { Account } from '../state/world.ts'
import { createProblems } from '../validation.ts'
import { readPage, rules } from './rules.ts'
import type { IamParts } from './parts.ts'

const actionsMax = 100

/** SimulatePrincipalPolicy: what the policies of a user, group or role say, with the context that is given. */
export function createSimulation ({ judge }: IamParts): Operations {
  return {
    SimulatePrincipalPolicy (call) {
      const { params, caller: { account }, region } = call
      const problems = createProblems()
      const source = problems.required(params, 'PolicySourceArn', rules.arn)
      const actions = readTexts(params, 'ActionNames.member')
      if (actions.length === 0) problems.add(null, 'actionNames', 'Member must not be null')
      problems.count(actions.length, actionsMax, 'actionNames')
      const resources = readTexts(params, 'ResourceArns.member')
      problems.count(resources.length, actionsMax, 'resourceArns')
      const page = readPage(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:SimulatePrincipalPolicy', source)
      const holder = readHolder(account, source)
      const context = new Map(readList(params, 'ContextEntries.member').map((entry) =>
        [(entry.get('.ContextKeyName') ?? '').toLowerCase(), readTexts(entry, '.ContextKeyValues.member')] as const))
      const policies = judge.policiesOf(account, holder, region)
      const { items, fields } = page(actions.flatMap((action) =>
        (resources.length === 0 ? ['*'] : resources).map((resource) => ({ action, resource }))))
      return {
        result: {
          EvaluationResults: items.map(({ action, resource }) => {
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
