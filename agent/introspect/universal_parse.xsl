<?xml version="1.0" encoding="UTF-8"?>
<!-- Shows any answer of introspect to people: a table a list, links to the requests of columns. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="html" encoding="UTF-8" indent="no"/>
  <xsl:template match="/">
    <html lang="en">
      <head>
        <title><xsl:value-of select="name(/*)"/></title>
        <style>
          :root { color-scheme: light dark; }
          body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; }
          table { border-collapse: collapse; margin: 0.25rem 0 1rem; }
          th, td { border: 1px solid #8888; padding: 0.2rem 0.5rem; text-align: left;
                   vertical-align: top; }
          th { font-weight: 600; }
          dt { font-weight: 600; } dd { margin: 0 0 0.5rem 1rem; }
        </style>
      </head>
      <body>
        <p><a href="/index.xml">All requests</a></p>
        <xsl:apply-templates select="/*"/>
      </body>
    </html>
  </xsl:template>
  <xsl:template match="/*[@type='slist']"><xsl:apply-templates select="*"/></xsl:template>
  <xsl:template match="*[@type='sandesh']">
    <h1><xsl:value-of select="name()"/></h1>
    <dl><xsl:apply-templates select="*[not(name()='more')]" mode="field"/></dl>
  </xsl:template>
  <xsl:template match="/modules">
    <h1>Modules</h1>
    <ul><xsl:for-each select="module"><li>
      <a href="{@link}"><xsl:value-of select="."/></a>
    </li></xsl:for-each></ul>
  </xsl:template>
  <xsl:template match="/requests">
    <h1><xsl:value-of select="@module"/></h1>
    <xsl:for-each select="request">
      <form action="{@link}">
        <h2><xsl:value-of select="@name"/></h2>
        <xsl:for-each select="field">
          <label><xsl:value-of select="@name"/><xsl:text> </xsl:text>
            <input name="{@name}"/></label><xsl:text> </xsl:text>
        </xsl:for-each>
        <button>Ask</button>
      </form>
    </xsl:for-each>
  </xsl:template>
  <xsl:template match="*" mode="field">
    <dt><xsl:value-of select="translate(name(), '_', ' ')"/></dt>
    <dd><xsl:call-template name="value"/></dd>
  </xsl:template>
  <xsl:template name="value">
    <xsl:choose>
      <xsl:when test="@type='list'"><xsl:apply-templates select="list"/></xsl:when>
      <xsl:when test="@type='struct'"><xsl:apply-templates select="*" mode="struct"/></xsl:when>
      <xsl:when test="@link and string(.)">
        <a href="/Snh_{@link}?x={string(.)}"><xsl:value-of select="."/></a>
      </xsl:when>
      <xsl:otherwise><xsl:value-of select="."/></xsl:otherwise>
    </xsl:choose>
  </xsl:template>
  <xsl:template match="list[@type='struct']">
    <xsl:if test="*">
      <table>
        <tr><xsl:for-each select="*[1]/*">
          <th scope="col"><xsl:value-of select="translate(name(), '_', ' ')"/></th>
        </xsl:for-each></tr>
        <xsl:for-each select="*"><tr><xsl:for-each select="*">
          <td><xsl:call-template name="value"/></td>
        </xsl:for-each></tr></xsl:for-each>
      </table>
    </xsl:if>
  </xsl:template>
  <xsl:template match="list">
    <xsl:variable name="link" select="../@link"/>
    <xsl:for-each select="*"><div>
      <xsl:choose>
        <xsl:when test="$link">
          <a href="/Snh_{$link}?x={string(.)}"><xsl:value-of select="."/></a>
        </xsl:when>
        <xsl:otherwise><xsl:value-of select="."/></xsl:otherwise>
      </xsl:choose>
    </div></xsl:for-each>
  </xsl:template>
  <xsl:template match="*" mode="struct">
    <dl><xsl:apply-templates select="*" mode="field"/></dl>
  </xsl:template>
</xsl:stylesheet>
