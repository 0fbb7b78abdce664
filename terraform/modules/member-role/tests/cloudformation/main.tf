# SPDX-License-Identifier: Apache-2.0
# template.yaml, read as CloudFormation would: with values for its parameters, which are this module's variables, its
# constraints are checked and its functions resolved. What is not understood here is an error and not a guess.

locals {
  template = yamldecode(file("${path.module}/../../template.yaml"))
  rules    = local.template.Parameters

  given = {
    RoleName               = var.name
    WorkerRoleArn          = var.worker_role_arn
    Trust                  = var.trust
    DirectoryBuckets       = var.directory_buckets
    Tags                   = var.tags
    ExternalId             = var.external_id
    OrganizationId         = var.organization_id
    PermissionsBoundaryArn = var.permissions_boundary_arn
  }

  # A parameter that is not given has its default. One that has none can't be left out, which is an error here too.
  values = merge(
    { for name, rule in local.rules : name => local.given[name] == null ? rule.Default : local.given[name] },
    { "AWS::NoValue" = { Ref = "AWS::NoValue" } },
  )

  # CloudFormation's patterns are Java's and Terraform's are RE2, which agree on all that stands in these.
  asked = { for name in keys(local.rules) : name => concat([local.values[name]], lookup(var.candidates, name, [])) }
  accepted = {
    for name, rule in local.rules : name => [
      for value in local.asked[name] : value if alltrue([
        can(regex(rule.AllowedPattern, value)),
        length(value) >= try(rule.MinLength, 0),
        length(value) <= try(rule.MaxLength, 4096),
      ])
    ]
  }

  # Terraform has no recursion, so the functions are resolved in the text: it is cut into those of one kind and what lies
  # between them, and put together again with their values. An If comes last, so that it chooses among plain values.
  between = "\\{?[^{]+|\\{"
  ref     = "\\{\"Ref\":\"([^\"]+)\"\\}"
  part    = "\\{\"Fn::Select\":\\[(\\d+),\\{\"Fn::Split\":\\[\"([^\"]*)\",\"([^\"]*)\"\\]\\}\\]\\}"
  joined  = "\\{\"Fn::Join\":\\[\"([^\"]*)\",\\[([^][{}]*)\\]\\]\\}"
  plain   = "\"[^\"]*\"|\\{\"[^\"]+\":\"[^\"]*\"\\}" # a string, an object of one, no value
  choice  = "\\{\"Fn::If\":\\[\"(\\w+)\",(${local.plain}),(${local.plain})\\]\\}"
  differ  = "\\{\"Fn::Not\":\\[\\{\"Fn::Equals\":\\[(\"[^\"]*\"),(\"[^\"]*\")\\]\\}\\]\\}"

  texts = merge(
    { for name, condition in local.template.Conditions : "condition ${name}" => jsonencode(condition) },
    { for name, resource in local.template.Resources : name => jsonencode(resource.Properties) },
  )

  without_refs = {
    for name, text in local.texts : name => join("", [
      for piece in regexall("${replace(local.ref, "(", "(?:")}|${local.between}", text) :
      try(jsonencode(local.values[regex("^${local.ref}$", piece)[0]]), piece)
    ])
  }

  without_parts = {
    for name in keys(local.template.Resources) : name => join("", [
      for piece in regexall("${replace(local.part, "(", "(?:")}|${local.between}", local.without_refs[name]) : try(
        jsonencode(split(regex("^${local.part}$", piece)[1], regex("^${local.part}$", piece)[2])[tonumber(regex("^${local.part}$", piece)[0])]),
        piece,
      )
    ])
  }

  without_joins = {
    for name, text in local.without_parts : name => join("", [
      for piece in regexall("${replace(local.joined, "(", "(?:")}|${local.between}", text) : try(
        jsonencode(join(regex("^${local.joined}$", piece)[0], jsondecode("[${regex("^${local.joined}$", piece)[1]}]"))),
        piece,
      )
    ])
  }

  conditions = {
    for name in keys(local.template.Conditions) : name =>
    length(distinct(regex("^${local.differ}$", local.without_refs["condition ${name}"]))) == 2
  }

  without_ifs = {
    for name in keys(local.template.Resources) : name => join("", [
      for piece in regexall("${replace(local.choice, "(", "(?:")}|${local.between}", local.without_joins[name]) :
      try(regex("^${local.choice}$", piece)[local.conditions[regex("^${local.choice}$", piece)[0]] ? 1 : 2], piece)
    ])
  }

  # A key with no value is no key, and an element with none no element; no list begins with one.
  resolved = {
    for name, text in local.without_ifs : name =>
    replace(replace(replace(text, "/\"[^\"]+\":\\{\"Ref\":\"AWS::NoValue\"\\},?/", ""), ",{\"Ref\":\"AWS::NoValue\"}", ""), ",}", "}")
  }
}
